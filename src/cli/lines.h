/*
 * lines - a small list in a text file: one entry a line, words with white space between, '#' begins
 * a comment line.
 *
 * A line that is too long or holds a control character is an error: what comes behind it could mean
 * something else to another reader.
 */
#ifndef VLY_CLI_LINES_H
#define VLY_CLI_LINES_H

#include "file/fault.h"

#define VLY_LINES_MAX_BYTES (1u << 20) /* of a file */
#define VLY_LINE_MAX_BYTES 4608u       /* a path and a key; without the newline */

struct vly_lines {
    const char *path; /* borrowed */
    char *text;       /* owned */
    size_t len, at;
    unsigned number; /* of the line last given, from 1 */
};

/* Reads all of a file that others cannot change. VLY_E_NOT_FOUND: there is none. */
VLY_MUST_USE int vly_lines_open(struct vly_lines *l, const char *path, struct vly_fault *why);
/* The same of a file that is open; takes nothing over. */
VLY_MUST_USE int vly_lines_read(struct vly_lines *l, const char *path, int fd,
                                struct vly_fault *why);
/* The same of text in memory, which is copied. */
VLY_MUST_USE int vly_lines_copy(struct vly_lines *l, const char *path, struct vly_span text,
                                struct vly_fault *why);
void vly_lines_close(struct vly_lines *l);

/* The next line that is neither empty nor a comment, without white space around it; *line is
 * borrowed and may be changed. Returns 0, VLY_E_NOT_FOUND at the end, VLY_E_MALFORMED. */
VLY_MUST_USE int vly_lines_next(struct vly_lines *l, char **line, struct vly_fault *why);
/* Cuts the next word off `*line`; NULL when there is none. */
char *vly_line_word(char **line);
/* "FILE:LINE: TEXT" about the line last given. Returns VLY_E_MALFORMED. */
int vly_lines_refuse(const struct vly_lines *l, struct vly_fault *why, const char *text);

#endif
