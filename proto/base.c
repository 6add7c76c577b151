/*
 * base - the names and texts of the error list in <volley/base.h>.
 */
#include <volley/base.h>

const char *vly_err_text(int err)
{
    switch (err) {
    case VLY_OK:
        return "success";
#define X(name, value, text) \
    case VLY_E_##name:       \
        return text;
        VLY_ERRORS(X)
#undef X
    }
    return "unknown error";
}

const char *vly_err_name(int err)
{
    switch (err) {
    case VLY_OK:
        return "OK";
#define X(name, value, text) \
    case VLY_E_##name:       \
        return #name;
        VLY_ERRORS(X)
#undef X
    }
    return "UNKNOWN";
}
