/*
 * path - names on the wire (SPEC 10.5), and names on a person's screen.
 *
 * Whatever came from a peer passes vly_path_check before it reaches the file system, and vly_escape
 * before it is printed.
 */
#ifndef VLY_FILE_PATH_H
#define VLY_FILE_PATH_H

#include <volley/base.h>

#define VLY_PATH_MAX_BYTES 4096u
#define VLY_PATH_MAX_COMPONENTS 64u
#define VLY_NAME_MAX_BYTES 255u

struct vly_span vly_span_str(const char *s);

/* Returns 0 when `path` may be used beneath a root; empty is the root itself. Else VLY_E_BAD_NAME.
 */
VLY_MUST_USE int vly_path_check(struct vly_span path);
/* The same for one component: not empty, no '/'. */
VLY_MUST_USE int vly_name_check(struct vly_span name);

/* `a/b`; an empty part gives the other one. The caller owns the result; NULL: out of memory. */
char *vly_path_join(const char *a, const char *b);
/* The last component: a pointer into `path`, behind its last '/'. */
const char *vly_path_base(const char *path);
/* Takes leading, trailing and double '/' and `.` components out of a path that a person typed, in
 * place. Returns whether it ended in '/' or '/.', which says that a directory is meant. `..` stays
 * for vly_path_check to refuse. */
bool vly_path_tidy(char *path);

/* Whether `name` is one of a file under way: ".volley-XXXXXXXX.part". */
bool vly_is_temp_name(const char *name);

/* Writes `s` as printable UTF-8 that moves neither cursor nor reading direction: control
 * characters, malformed UTF-8, bidirectional and invisible characters become \xNN for each byte, a
 * backslash two. Cut in the middle ("...") to fit `cap` (at least 16) with its NUL. Returns `out`.
 */
char *vly_escape(char *out, size_t cap, struct vly_span s);

/* The same for a sentence of a peer, which may hold escaped names: a backslash stays one. */
char *vly_escape_text(char *out, size_t cap, struct vly_span s);

/* An escaped name by value, for use within one printf: vly_shown(path).text */
struct vly_shown {
    char text[256];
};
struct vly_shown vly_shown(const char *s);
struct vly_shown vly_shown_span(struct vly_span s);

#endif
