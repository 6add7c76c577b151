/*
 * path - checks and display of names.
 *
 * Cost: linear in the name; no allocation but in vly_path_join.
 */
#include "file/path.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMP_PREFIX ".volley-"
#define TEMP_SUFFIX ".part"
#define TEMP_RANDOM_BYTES 8

struct vly_span vly_span_str(const char *s)
{
    return (struct vly_span){.data = (const uint8_t *)s, .len = strlen(s)};
}

int vly_name_check(struct vly_span name)
{
    if (name.len == 0 || name.len > VLY_NAME_MAX_BYTES)
        return VLY_E_BAD_NAME;
    if (name.data[0] == '.' && (name.len == 1 || (name.len == 2 && name.data[1] == '.')))
        return VLY_E_BAD_NAME;
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < 0x20 || name.data[i] == 0x7f || name.data[i] == '/')
            return VLY_E_BAD_NAME;
    return 0;
}

int vly_path_check(struct vly_span path)
{
    size_t components = 0;

    if (path.len == 0)
        return 0;
    if (path.len > VLY_PATH_MAX_BYTES)
        return VLY_E_BAD_NAME;
    for (size_t begin = 0; begin <= path.len;) {
        const uint8_t *slash = memchr(path.data + begin, '/', path.len - begin);
        size_t end = slash != NULL ? (size_t)(slash - path.data) : path.len;
        struct vly_span name = {.data = path.data + begin, .len = end - begin};

        if (++components > VLY_PATH_MAX_COMPONENTS || vly_name_check(name) != 0)
            return VLY_E_BAD_NAME;
        begin = end + 1;
    }
    return 0;
}

char *vly_path_join(const char *a, const char *b)
{
    const char *slash = *a != '\0' && *b != '\0' ? "/" : "";
    size_t size = strlen(a) + strlen(slash) + strlen(b) + 1;
    char *out = malloc(size);

    if (out != NULL)
        (void)snprintf(out, size, "%s%s%s", a, slash, b);
    return out;
}

const char *vly_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

bool vly_path_tidy(char *path)
{
    size_t len = strlen(path);
    bool directory = len > 0 && (path[len - 1] == '/' || strcmp(path, ".") == 0 ||
                                 (len > 1 && strcmp(path + len - 2, "/.") == 0));
    const char *in = path;
    char *out = path;

    while (*in != '\0') {
        size_t n = strcspn(in, "/");

        if (n > 0 && !(n == 1 && in[0] == '.')) {
            if (out != path)
                *out++ = '/';
            memmove(out, in, n);
            out += n;
        }
        in += n;
        in += strspn(in, "/");
    }
    *out = '\0';
    return directory;
}

bool vly_is_temp_name(const char *name)
{
    size_t prefix = sizeof TEMP_PREFIX - 1, suffix = sizeof TEMP_SUFFIX - 1;

    return strlen(name) == prefix + TEMP_RANDOM_BYTES + suffix &&
           memcmp(name, TEMP_PREFIX, prefix) == 0 &&
           memcmp(name + prefix + TEMP_RANDOM_BYTES, TEMP_SUFFIX, suffix) == 0;
}

/* Length of the well-formed UTF-8 character at `p` (RFC 3629) and its value; 0 when malformed. */
static size_t utf8_decode(const uint8_t *p, size_t left, uint32_t *value)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80   ? 1
                 : p[0] < 0xc2 ? 0
                 : p[0] < 0xe0 ? 2
                 : p[0] < 0xf0 ? 3
                 : p[0] < 0xf5 ? 4
                               : 0;
    uint32_t v;

    if (len == 0 || len > left)
        return 0;
    v = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (p[i] & 0x3fu);
    }
    if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *value = v;
    return len;
}

/* Characters that show nothing, or change how their neighbours show. */
static bool is_deceptive(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } table[] = {
        {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},
        {0x061c, 0x061c},   {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
        {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},
        {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},
        {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (c >= table[i].first && c <= table[i].last)
            return true;
    return false;
}

enum backslash { BACKSLASH_DOUBLED, BACKSLASH_KEPT };

#define UNIT_MAX 16 /* four bytes as \xNN */

/* Escapes the character at `p` into `unit`; returns the bytes read. */
static size_t escape_unit(const uint8_t *p, size_t left, enum backslash backslash,
                          char unit[UNIT_MAX], size_t *unit_len)
{
    static const char hex[] = "0123456789abcdef";
    uint32_t value = 0;
    size_t len = utf8_decode(p, left, &value), n = 0;

    if (len == 1 && value == '\\' && backslash == BACKSLASH_DOUBLED) {
        unit[0] = unit[1] = '\\';
        n = 2;
    } else if (len > 0 && !is_deceptive(value)) {
        memcpy(unit, p, len);
        n = len;
    } else {
        len = len > 0 ? len : 1;
        for (size_t i = 0; i < len; i++) {
            unit[n++] = '\\';
            unit[n++] = 'x';
            unit[n++] = hex[p[i] >> 4];
            unit[n++] = hex[p[i] & 0xf];
        }
    }
    *unit_len = n;
    return len;
}

/* Bytes that escaping `s` from `begin` on gives. */
static size_t escaped_len(struct vly_span s, size_t begin, enum backslash backslash)
{
    char unit[UNIT_MAX];
    size_t total = 0, n;

    for (size_t i = begin; i < s.len; total += n)
        i += escape_unit(s.data + i, s.len - i, backslash, unit, &n);
    return total;
}

/* Escapes as much of `s` from *begin as fits in `room`; returns the bytes written. */
static size_t escape_some(char *out, size_t room, struct vly_span s, size_t *begin,
                          enum backslash backslash)
{
    char unit[UNIT_MAX];
    size_t used = 0;

    while (*begin < s.len) {
        size_t n, read = escape_unit(s.data + *begin, s.len - *begin, backslash, unit, &n);

        if (n > room - used)
            break;
        memcpy(out + used, unit, n);
        used += n;
        *begin += read;
    }
    return used;
}

static char *escape(char *out, size_t cap, struct vly_span s, enum backslash backslash)
{
    size_t begin = 0, used, tail = (cap - 4) / 2, left, n;
    char unit[UNIT_MAX];

    assert(cap >= 16);
    left = escaped_len(s, 0, backslash);
    if (left < cap) {
        used = escape_some(out, cap - 1, s, &begin, backslash);
        out[used] = '\0';
        return out;
    }
    used = escape_some(out, cap - 4 - tail, s, &begin, backslash);
    memcpy(out + used, "...", 3);
    used += 3;
    for (left = escaped_len(s, begin, backslash); left > cap - 1 - used; left -= n)
        begin += escape_unit(s.data + begin, s.len - begin, backslash, unit, &n);
    used += escape_some(out + used, cap - 1 - used, s, &begin, backslash);
    out[used] = '\0';
    return out;
}

char *vly_escape(char *out, size_t cap, struct vly_span s)
{
    return escape(out, cap, s, BACKSLASH_DOUBLED);
}

char *vly_escape_text(char *out, size_t cap, struct vly_span s)
{
    return escape(out, cap, s, BACKSLASH_KEPT);
}

struct vly_shown vly_shown_span(struct vly_span s)
{
    struct vly_shown shown;

    vly_escape(shown.text, sizeof shown.text, s);
    return shown;
}

struct vly_shown vly_shown(const char *s)
{
    return vly_shown_span(vly_span_str(s));
}
