/*
 * keylog - the file of --keylog.
 *
 * A line goes out with one call, so that several processes may share the file.
 */
#include "cli/keylog.h"

#include "cli/guard.h"
#include "file/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_BYTES 512

int vly_keylog_open(const char *path, int *fd, struct vly_fault *why)
{
    struct stat st;
    int err = 0;

    /* Whoever can plant a link must not be able to choose where keys go. */
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK,
               0600);
    if (*fd < 0 || fstat(*fd, &st) != 0)
        err = vly_guard_fail(path, vly_err_from_errno(errno), why);
    else if (!S_ISREG(st.st_mode) || (st.st_mode & 077u) != 0 || st.st_uid != geteuid())
        err = vly_fault_set(why, VLY_E_PERMISSION,
                            "'%s' would hold secrets, but is not a file of yours alone; "
                            "chmod 600, or name a new one",
                            vly_shown(path).text);
    if (err != 0 && *fd >= 0)
        close(*fd);
    return err;
}

void vly_keylog_write(void *ctx, const char *line)
{
    char text[LINE_BYTES];
    int len = snprintf(text, sizeof(text), "%s\n", line);

    if (len > 0 && (size_t)len < sizeof(text))
        (void)!write(*(const int *)ctx, text, (size_t)len);
    explicit_bzero(text, sizeof(text));
}
