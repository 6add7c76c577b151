/*
 * lines - a small list in a text file.
 */
#include "cli/lines.h"

#include "cli/guard.h"
#include "file/path.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLANKS " \t"

int vly_lines_read(struct vly_lines *l, const char *path, int fd, struct vly_fault *why)
{
    int err;

    *l = (struct vly_lines){.path = path, .text = malloc(VLY_LINES_MAX_BYTES + 1)};
    err = l->text == NULL ? VLY_E_NOMEM : vly_guard_read(fd, l->text, VLY_LINES_MAX_BYTES, &l->len);
    if (err == VLY_E_LIMIT)
        vly_fault_set(why, err, "'%s' is larger than 1 MiB", vly_shown(path).text);
    else if (err != 0)
        err = vly_guard_fail(path, err, why);
    if (err != 0)
        vly_lines_close(l);
    return err;
}

int vly_lines_open(struct vly_lines *l, const char *path, struct vly_fault *why)
{
    int fd, err = vly_guard_open(path, VLY_GUARD_TRUSTED, &fd, why);

    *l = (struct vly_lines){.path = path};
    if (err != 0)
        return err;
    err = vly_lines_read(l, path, fd, why);
    close(fd);
    return err;
}

int vly_lines_copy(struct vly_lines *l, const char *path, struct vly_span text,
                   struct vly_fault *why)
{
    *l = (struct vly_lines){.path = path, .text = malloc(text.len + 1), .len = text.len};
    if (l->text == NULL)
        return vly_fault_plain(why, VLY_E_NOMEM);
    if (text.len > 0)
        memcpy(l->text, text.data, text.len);
    return 0;
}

void vly_lines_close(struct vly_lines *l)
{
    free(l->text);
    l->text = NULL;
}

int vly_lines_refuse(const struct vly_lines *l, struct vly_fault *why, const char *text)
{
    return vly_fault_set(why, VLY_E_MALFORMED, "%s:%u: %s", vly_shown(l->path).text, l->number,
                         text);
}

static bool has_control(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
            return true;
    return false;
}

int vly_lines_next(struct vly_lines *l, char **line, struct vly_fault *why)
{
    while (l->at < l->len) {
        char *begin = l->text + l->at, *end = memchr(begin, '\n', l->len - l->at);
        size_t len = end != NULL ? (size_t)(end - begin) : l->len - l->at;

        l->at += len + (end != NULL);
        l->number++;
        if (len > 0 && begin[len - 1] == '\r')
            len--;
        if (len > VLY_LINE_MAX_BYTES)
            return vly_lines_refuse(l, why, "the line is too long");
        if (has_control(begin, len))
            return vly_lines_refuse(l, why, "the line holds a control character");
        while (len > 0 && strchr(BLANKS, begin[len - 1]) != NULL)
            len--;
        begin[len] = '\0';
        begin += strspn(begin, BLANKS);
        if (*begin == '\0' || *begin == '#')
            continue;
        *line = begin;
        return 0;
    }
    return VLY_E_NOT_FOUND;
}

char *vly_line_word(char **line)
{
    char *word = *line + strspn(*line, BLANKS);
    char *end = word + strcspn(word, BLANKS);

    if (*word == '\0')
        return NULL;
    *line = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}
