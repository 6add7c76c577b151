/*
 * known_hosts - the servers a user believes.
 */
#include "cli/known_hosts.h"

#include "cli/guard.h"
#include "cli/home.h"
#include "crypto/keytext.h"
#include "file/path.h"

#include <volley/transfer.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct vly_host_name vly_known_hosts_name(const struct vly_addr *server)
{
    struct vly_host_name out;
    bool is_v6 = strchr(server->host, ':') != NULL;
    int len = snprintf(out.s, sizeof(out.s), is_v6 ? "[%s]" : "%s", server->host);

    for (char *p = out.s; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    if (server->port != VLY_PORT_DEFAULT && len > 0 && (size_t)len < sizeof(out.s))
        (void)snprintf(out.s + len, sizeof(out.s) - (size_t)len, ":%u", server->port);
    return out;
}

static int line_parse(const struct vly_lines *l, char *line, const char **name,
                      struct vly_known_host *host, struct vly_fault *why)
{
    const char *text;

    *name = vly_line_word(&line);
    text = vly_line_word(&line);
    if (*name == NULL || text == NULL || vly_line_word(&line) != NULL)
        return vly_lines_refuse(l, why, "a line is HOST[:PORT] and a key");
    if (vly_public_key_parse(text, host->key) != 0)
        return vly_lines_refuse(l, why, "the key is not volley1: and 44 characters of base64");
    host->line = l->number;
    return 0;
}

/* Also of a name that was found the rest is checked: a list is right as a whole or not at all. */
int vly_known_hosts_find_in(struct vly_lines *l, const char *name, struct vly_known_host *out,
                            struct vly_fault *why)
{
    struct vly_known_host host;
    const char *is;
    bool found = false;
    char *line;
    int err;

    while ((err = vly_lines_next(l, &line, why)) == 0 &&
           (err = line_parse(l, line, &is, &host, why)) == 0) {
        if (!found && strcmp(is, name) == 0) {
            *out = host;
            found = true;
        }
    }
    return err == VLY_E_NOT_FOUND && found ? 0 : err;
}

int vly_known_hosts_find(const char *path, const char *name, struct vly_known_host *out,
                         struct vly_fault *why)
{
    struct vly_lines l;
    int err = vly_lines_open(&l, path, why);

    if (err != 0)
        return err;
    err = vly_known_hosts_find_in(&l, name, out, why);
    vly_lines_close(&l);
    return err;
}

/* ---- adding ---- */

/* Half a line would make the whole file useless: all of it or nothing. */
static int append(int fd, bool needs_newline, const char *name, const uint8_t *key)
{
    char line[2 * VLY_HOST_BYTES];
    int len = snprintf(line, sizeof(line), "%s%s %s\n", needs_newline ? "\n" : "", name,
                       vly_public_key_text(key).s);
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t n = write(fd, line, (size_t)len);
    int err = n < 0 ? vly_err_from_errno(errno) : n < len ? VLY_E_NO_SPACE : 0;

    if (err == 0 && fsync(fd) != 0)
        err = vly_err_from_errno(errno);
    if (err != 0 && size >= 0)
        (void)!ftruncate(fd, size);
    return err;
}

/* The file is locked: nobody else adds to it meanwhile. */
static int add_locked(int fd, const char *path, const char *name, const uint8_t *key,
                      struct vly_fault *why)
{
    struct vly_known_host host;
    struct vly_lines l;
    bool needs_newline;
    int err = vly_lines_read(&l, path, fd, why);

    if (err != 0)
        return err;
    needs_newline = l.len > 0 && l.text[l.len - 1] != '\n';
    err = vly_known_hosts_find_in(&l, name, &host, why);
    vly_lines_close(&l);
    if (err == 0 && memcmp(host.key, key, sizeof(host.key)) != 0)
        return vly_fault_set(why, VLY_E_HOST_CHANGED, "%s:%u: another key has been added for %s",
                             vly_shown(path).text, host.line, vly_shown(name).text);
    if (err != VLY_E_NOT_FOUND)
        return err;
    err = append(fd, needs_newline, name, key);
    return err == 0 ? 0
                    : vly_fault_set(why, err, "'%s': %s", vly_shown(path).text, vly_err_text(err));
}

/* A name that would be another line, or two words. */
static bool name_fits(const char *name)
{
    for (const char *p = name; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return false;
    return *name != '\0' && *name != '#';
}

int vly_known_hosts_add(const char *path, const char *name, const uint8_t key[VLY_PUBLIC_KEY_BYTES],
                        struct vly_fault *why)
{
    int fd, err;

    if (!name_fits(name))
        return vly_fault_set(why, VLY_E_BAD_NAME, "'%s' cannot be remembered",
                             vly_shown(name).text);
    if ((err = vly_home_make_parents(path, why)) != 0)
        return err;
    fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0)
        return vly_guard_fail(path, vly_err_from_errno(errno), why);
    if (flock(fd, LOCK_EX) != 0)
        err = vly_guard_fail(path, vly_err_from_errno(errno), why);
    else
        err = add_locked(fd, path, name, key, why);
    close(fd);
    return err;
}
