/*
 * fault - errors with their reasons, and their translations.
 *
 * Invariant: see fault.h. Cost: one formatted line; only on failure.
 */
#include "file/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int vly_fault_set(struct vly_fault *f, int err, const char *fmt, ...)
{
    va_list args;

    if (f == NULL)
        return err;
    f->err = err;
    va_start(args, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, args);
    va_end(args);
    return err;
}

int vly_fault_plain(struct vly_fault *f, int err)
{
    return vly_fault_set(f, err, "%s", vly_err_text(err));
}

int vly_err_from_errno(int errno_value)
{
    static const struct {
        int errno_value;
        int err;
    } table[] = {
        {ENOENT, VLY_E_NOT_FOUND},    {ESTALE, VLY_E_NOT_FOUND}, {EACCES, VLY_E_PERMISSION},
        {EPERM, VLY_E_PERMISSION},    {EROFS, VLY_E_PERMISSION}, {EEXIST, VLY_E_EXISTS},
        {EISDIR, VLY_E_IS_DIRECTORY}, {ENOTEMPTY, VLY_E_EXISTS}, {ENOTDIR, VLY_E_NOT_DIRECTORY},
        {ELOOP, VLY_E_REFUSED},       {EXDEV, VLY_E_REFUSED},    {ENAMETOOLONG, VLY_E_BAD_NAME},
        {EILSEQ, VLY_E_BAD_NAME},     {ENOSPC, VLY_E_NO_SPACE},  {EDQUOT, VLY_E_NO_SPACE},
        {EFBIG, VLY_E_NO_SPACE},      {ENOMEM, VLY_E_NOMEM},     {EMFILE, VLY_E_LIMIT},
        {ENFILE, VLY_E_LIMIT},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].errno_value == errno_value)
            return table[i].err;
    return VLY_E_IO;
}

/* What the standard text of the vly_err would leave out; NULL when it says enough. */
static const char *precise_text(int errno_value)
{
    switch (errno_value) {
    case ELOOP:
        return "a symbolic link is in the way; links are not followed";
    case EXDEV:
        return "this leads outside of the served directory";
    case EROFS:
        return "the file system is read-only";
    case EDQUOT:
        return "the disk quota is used up";
    case EFBIG:
        return "the file is too large for the file system or the limits of this process";
    case EMFILE:
    case ENFILE:
        return "too many open files; try again with fewer transfers at once";
    default:
        return NULL;
    }
}

int vly_fault_errno(struct vly_fault *f, int errno_value)
{
    int err = vly_err_from_errno(errno_value);
    const char *text = precise_text(errno_value);
    char buf[128];

    if (err == VLY_E_IO)
        return vly_fault_set(f, err, "%s", strerror_r(errno_value, buf, sizeof buf));
    return vly_fault_set(f, err, "%s", text != NULL ? text : vly_err_text(err));
}

int vly_fault_last(struct vly_fault *f, int err)
{
    return vly_err_from_errno(errno) == err ? vly_fault_errno(f, errno) : vly_fault_plain(f, err);
}

enum vly_wire_code vly_wire_from_err(int err)
{
    switch (err) {
#define X(name, value) \
    case VLY_E_##name: \
        return VLY_WIRE_##name;
        VLY_WIRE_CODES(X)
#undef X
    default:
        return VLY_WIRE_IO;
    }
}

int vly_err_from_wire(uint64_t code)
{
    switch (code) {
#define X(name, value)    \
    case VLY_WIRE_##name: \
        return VLY_E_##name;
        VLY_WIRE_CODES(X)
#undef X
    default:
        return VLY_E_FAILED;
    }
}
