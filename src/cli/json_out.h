/*
 * json_out - one JSON object a line on standard output, flushed each, for programs to read.
 *
 * Whole numbers stay whole; there is never a NaN or an infinity. A name that is not UTF-8 has its
 * odd bytes written as the text \xNN.
 */
#ifndef VLY_CLI_JSON_OUT_H
#define VLY_CLI_JSON_OUT_H

#include <volley/transfer.h>

#include <jansson.h>

/* A new object with "event" set. Owned by the caller, who hands it to vly_json_emit. Running out of
 * memory gives NULL, which the functions below take and pass on. */
json_t *vly_json_event(const char *event);
/* Prints and frees `object`. */
void vly_json_emit(json_t *object);

void vly_json_text(json_t *object, const char *key, const char *text);
/* UINT64_MAX (not known) becomes null. */
void vly_json_count(json_t *object, const char *key, uint64_t value);
void vly_json_real(json_t *object, const char *key, double value);
void vly_json_stats(json_t *object, const struct vly_transfer_stats *s);
/* Adds {"error":{"code":...,"message":...}}; `why` NULL adds "error":null. */
void vly_json_failure(json_t *object, const struct vly_failure *why);

/* The whole event {"event":"error","code":CODE,"message":TEXT}. */
void vly_json_error(const char *code, const char *text);

#endif
