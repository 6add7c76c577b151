/*
 * fault - an error and one line that explains it, and the translations between errno, enum vly_err
 * and the codes of SPEC 10.7.
 *
 * Invariant: `text` is printable as it stands: whoever puts bytes of a peer or of a file name into
 * it escapes them (path.h).
 */
#ifndef VLY_FILE_FAULT_H
#define VLY_FILE_FAULT_H

#include <volley/base.h>

#define VLY_FAULT_TEXT 1024

struct vly_fault {
    int err; /* 0: none */
    char text[VLY_FAULT_TEXT];
};

/* Fills `f` (may be NULL) and returns `err`. Cut to VLY_FAULT_TEXT - 1 bytes. */
int vly_fault_set(struct vly_fault *f, int err, const char *fmt, ...) VLY_PRINTF(3, 4);
/* The same from errno: the text is the system's reason alone. Returns the vly_err it amounts to. */
int vly_fault_errno(struct vly_fault *f, int errno_value);
/* `f` from `err` with its standard text. Returns `err`. */
int vly_fault_plain(struct vly_fault *f, int err);

/* `f` for a call that failed with `err`: from errno where that is what `err` came from. Returns
 * `err`. */
int vly_fault_last(struct vly_fault *f, int err);

int vly_err_from_errno(int errno_value);

/* The codes of ERROR, RESET_STREAM, STOP_SENDING and CLOSE_APP. X(name, value), names as in
 * VLY_ERRORS */
#define VLY_WIRE_CODES(X) \
    X(NOT_FOUND, 1)       \
    X(REFUSED, 2)         \
    X(EXISTS, 3)          \
    X(PERMISSION, 4)      \
    X(IS_DIRECTORY, 5)    \
    X(NOT_DIRECTORY, 6)   \
    X(NOT_REGULAR, 7)     \
    X(BAD_NAME, 8)        \
    X(NO_SPACE, 9)        \
    X(SOURCE_CHANGED, 10) \
    X(INTEGRITY, 11)      \
    X(IO, 12)             \
    X(LIMIT, 13)          \
    X(PROTOCOL, 14)       \
    X(CANCELLED, 15)

enum vly_wire_code {
#define X(name, value) VLY_WIRE_##name = (value),
    VLY_WIRE_CODES(X)
#undef X
};

/* Errors without a code of their own become IO. */
enum vly_wire_code vly_wire_from_err(int err);
/* Unknown codes become VLY_E_FAILED. */
int vly_err_from_wire(uint64_t code);

#endif
