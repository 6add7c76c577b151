/*
 * json_out - one JSON object a line on standard output, flushed each, for programs to read.
 */
#include "cli/json_out.h"

#include "file/path.h"
#include "proto/frame.h"

#include <math.h>
#include <stdio.h>

json_t *vly_json_event(const char *event)
{
    json_t *object = json_object();

    vly_json_text(object, "event", event);
    return object;
}

void vly_json_emit(json_t *object)
{
    if (object == NULL)
        return;
    /* Non-ASCII is escaped: a name can do nothing to a terminal the lines are shown on. */
    (void)json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12));
    (void)putchar('\n');
    (void)fflush(stdout);
    json_decref(object);
}

void vly_json_text(json_t *object, const char *key, const char *text)
{
    json_t *value = json_string(text);

    if (value == NULL) { /* not UTF-8 */
        static char escaped[4 * VLY_PATH_MAX_BYTES + 16];
        value = json_string(vly_escape(escaped, sizeof(escaped), vly_span_str(text)));
    }
    (void)json_object_set_new(object, key, value);
}

void vly_json_count(json_t *object, const char *key, uint64_t value)
{
    json_t *number = value > INT64_MAX ? json_null() : json_integer((json_int_t)value);

    (void)json_object_set_new(object, key, number);
}

void vly_json_real(json_t *object, const char *key, double value)
{
    (void)json_object_set_new(object, key, json_real(isfinite(value) ? value : 0));
}

/* {"PING":1,"STREAM":20}: those that there were. */
static json_t *frames(const uint64_t counts[VLY_LINK_FRAME_TYPES])
{
    json_t *object = json_object();

    for (unsigned type = 0; type < VLY_LINK_FRAME_TYPES; type++)
        if (counts[type] != 0)
            vly_json_count(object, vly_frame_name((uint8_t)type), counts[type]);
    return object;
}

void vly_json_stats(json_t *object, const struct vly_transfer_stats *s)
{
    double seconds = (double)s->duration_ns / 1e9;

    vly_json_count(object, "files", s->files);
    vly_json_count(object, "bytes", s->bytes);
    vly_json_real(object, "seconds", seconds);
    vly_json_real(object, "goodput_bits_per_s",
                  s->duration_ns == 0 ? 0 : (double)s->bytes * 8 / seconds);
    vly_json_count(object, "packets_sent", s->packets_sent);
    vly_json_count(object, "packets_received", s->packets_received);
    vly_json_count(object, "retransmits", s->retransmits);
    vly_json_count(object, "lost_packets", s->lost_packets);
    vly_json_count(object, "spurious_losses", s->spurious_losses);
    vly_json_count(object, "wire_bytes_sent", s->wire_bytes_sent);
    vly_json_count(object, "wire_bytes_received", s->wire_bytes_received);
    vly_json_count(object, "smoothed_rtt_ns", s->smoothed_rtt_ns);
    vly_json_count(object, "min_rtt_ns", s->min_rtt_ns);
    vly_json_count(object, "cwnd_bytes", s->cwnd_bytes);
    vly_json_count(object, "kernel_drops_local", s->kernel_drops_local);
    vly_json_count(object, "kernel_drops_peer", s->kernel_drops_peer);
    vly_json_count(object, "limited_cwnd_ns", s->limited_cwnd_ns);
    vly_json_count(object, "limited_flow_ns", s->limited_flow_ns);
    vly_json_count(object, "limited_pacing_ns", s->limited_pacing_ns);
    vly_json_count(object, "limited_app_ns", s->limited_app_ns);
    vly_json_count(object, "path_changes", s->path_changes);
    vly_json_count(object, "datagram_bytes", s->datagram_bytes);
    vly_json_count(object, "datagram_received_bytes", s->datagram_received_bytes);
    vly_json_text(object, "proto", s->transport != NULL ? s->transport : "");
    vly_json_text(object, "cc", s->cc);
    vly_json_text(object, "io", s->io != NULL ? s->io : "");
    vly_json_text(object, "suite", s->suite != NULL ? s->suite : "");
    vly_json_text(object, "crypto", s->crypto != NULL ? s->crypto : "");
    (void)json_object_set_new(object, "frames",
                              json_pack("{s:o, s:o}", "sent", frames(s->frames_sent), "received",
                                        frames(s->frames_received)));
}

void vly_json_failure(json_t *object, const struct vly_failure *why)
{
    json_t *error = json_null();

    if (why != NULL) {
        error = json_object();
        vly_json_text(error, "code", vly_err_name(why->err));
        vly_json_text(error, "message", why->text);
    }
    (void)json_object_set_new(object, "error", error);
}

void vly_json_error(const char *code, const char *text)
{
    json_t *object = vly_json_event("error");

    vly_json_text(object, "code", code);
    vly_json_text(object, "message", text);
    vly_json_emit(object);
}
