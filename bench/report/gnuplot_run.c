/*
 * gnuplot_run - gnuplot as a child: a script on its standard input, pictures in a directory of its
 * own that is gone afterwards, also after Ctrl-C.
 */
#include "bench/report/gnuplot.h"

#include "file/path.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CPU_S_MAX 120 /* of gnuplot, which takes some 30 ms a chart */
#define COMPLAINT_BYTES 120
#define EXIT_NO_PROGRAM 127
#define SCRIPT "script"
#define COMPLAINTS "complaints"

static const int blocked[] = {SIGINT, SIGTERM, SIGHUP};

/* ---- files of the directory ---- */

static FILE *open_in(int dir, const char *name, int flags)
{
    int fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd < 0 ? NULL : fdopen(fd, (flags & O_ACCMODE) == O_RDONLY ? "r" : "w");
}

static void picture_name(char name[BENCH_PICTURE_FILE_BYTES], size_t nth)
{
    (void)snprintf(name, BENCH_PICTURE_FILE_BYTES, "picture-%zu", nth);
}

static int script_write(int dir, const struct bench_charts *charts,
                        enum bench_picture_format format)
{
    FILE *file = open_in(dir, SCRIPT, O_WRONLY | O_CREAT | O_EXCL);
    bool failed;

    if (file == NULL)
        return VLY_E_IO;
    for (size_t i = 0; i < charts->n; i++) {
        char name[BENCH_PICTURE_FILE_BYTES];
        picture_name(name, i);
        bench_gnuplot_script(file, charts->at[i], format, name);
    }
    failed = ferror(file) != 0;
    return fclose(file) != 0 || failed ? VLY_E_IO : 0;
}

static int picture_read(int dir, const char *name, struct bench_picture *out)
{
    FILE *file = open_in(dir, name, O_RDONLY);
    long size = -1;

    if (file == NULL)
        return VLY_E_FAILED;
    if (fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size > 0 && fseek(file, 0, SEEK_SET) == 0)
        out->data = calloc((size_t)size + 1, 1);
    if (out->data != NULL)
        out->len = fread(out->data, 1, (size_t)size, file);
    (void)fclose(file);
    return out->data != NULL && out->len == (size_t)size ? 0 : VLY_E_FAILED;
}

static void directory_remove(int dir, const char *path, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[BENCH_PICTURE_FILE_BYTES];
        picture_name(name, i);
        (void)unlinkat(dir, name, 0);
    }
    (void)unlinkat(dir, SCRIPT, 0);
    (void)unlinkat(dir, COMPLAINTS, 0);
    (void)close(dir);
    (void)rmdir(path);
}

/* ---- the child ---- */

static void run_in_child(int dir, const sigset_t *mask, pid_t parent)
{
    char program[] = "gnuplot", defaults[] = "-d", input[] = "-";
    char *const argv[] = {program, defaults, input, NULL};
    const struct rlimit cpu = {CPU_S_MAX, CPU_S_MAX};
    int in = openat(dir, SCRIPT, O_RDONLY);
    int err = openat(dir, COMPLAINTS, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int null = open("/dev/null", O_WRONLY);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || in < 0 || err < 0 || null < 0 || fchdir(dir) != 0)
        _exit(1);
    if (dup2(in, 0) < 0 || dup2(null, 1) < 0 || dup2(err, 2) < 0)
        _exit(1);
    (void)setrlimit(RLIMIT_CPU, &cpu);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    (void)execvp(program, argv);
    _exit(errno == ENOENT ? EXIT_NO_PROGRAM : 1);
}

/* Returns gnuplot's status as of waitpid, or -1. */
static int run(int dir, const sigset_t *mask)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    int status = -1;

    if (pid == 0)
        run_in_child(dir, mask, parent);
    if (pid < 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

/* The last line gnuplot complained with that says something. */
static void complaint(int dir, char out[COMPLAINT_BYTES])
{
    FILE *file = open_in(dir, COMPLAINTS, O_RDONLY);
    char line[512];

    (void)snprintf(out, COMPLAINT_BYTES, "it says nothing");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[strspn(line, " ^\t")] != '\0')
            (void)snprintf(out, COMPLAINT_BYTES, "%.100s", vly_shown(line).text);
    }
    if (file != NULL)
        (void)fclose(file);
}

/* ---- all of it ---- */

static int draw_in(int dir, const sigset_t *mask, struct bench_picture *pictures,
                   const struct bench_charts *charts, char why[BENCH_WHY_BYTES])
{
    int status = run(dir, mask), err = 0;
    char text[COMPLAINT_BYTES];

    if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM) {
        (void)snprintf(why, BENCH_WHY_BYTES,
                       "gnuplot is not installed; apt-get install gnuplot-nox brings it");
        return VLY_E_NOT_FOUND;
    }
    for (size_t i = 0; status == 0 && err == 0 && i < charts->n; i++) {
        char name[BENCH_PICTURE_FILE_BYTES];
        picture_name(name, i);
        err = picture_read(dir, name, &pictures[i]);
    }
    if (status == 0 && err == 0)
        return 0;
    complaint(dir, text);
    (void)snprintf(why, BENCH_WHY_BYTES, "gnuplot failed: %s", text);
    return VLY_E_FAILED;
}

static int draw(struct bench_picture *pictures, const struct bench_charts *charts,
                enum bench_picture_format format, const sigset_t *mask, char why[BENCH_WHY_BYTES])
{
    const char *tmp = getenv("TMPDIR");
    char path[512];
    int dir, err;

    (void)snprintf(path, sizeof(path), "%.400s/volley-bench-XXXXXX",
                   tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
    if (mkdtemp(path) == NULL) {
        (void)snprintf(why, BENCH_WHY_BYTES, "a directory %.120s cannot be made: %s",
                       vly_shown(path).text, strerror(errno));
        return VLY_E_IO;
    }
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        (void)rmdir(path);
        (void)snprintf(why, BENCH_WHY_BYTES, "%.120s cannot be opened", vly_shown(path).text);
        return VLY_E_IO;
    }
    err = script_write(dir, charts, format);
    if (err != 0)
        (void)snprintf(why, BENCH_WHY_BYTES, "a script for gnuplot cannot be written to %.120s",
                       vly_shown(path).text);
    else
        err = draw_in(dir, mask, pictures, charts, why);
    directory_remove(dir, path, charts->n);
    return err;
}

int bench_gnuplot_draw(struct bench_picture **out, const struct bench_charts *charts,
                       enum bench_picture_format format, char why[BENCH_WHY_BYTES])
{
    struct bench_picture *pictures = calloc(charts->n + 1, sizeof(*pictures));
    sigset_t all, mask;
    int err;

    *out = NULL;
    if (pictures == NULL) {
        (void)snprintf(why, BENCH_WHY_BYTES, "there is not enough memory for pictures");
        return VLY_E_NOMEM;
    }
    /* Ctrl-C ends gnuplot at once, and us when the directory is gone. */
    (void)sigemptyset(&all);
    for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++)
        (void)sigaddset(&all, blocked[i]);
    (void)sigprocmask(SIG_BLOCK, &all, &mask);
    err = draw(pictures, charts, format, &mask, why);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    if (err != 0)
        bench_pictures_free(pictures, charts->n);
    else
        *out = pictures;
    return err;
}

void bench_pictures_free(struct bench_picture *pictures, size_t n)
{
    for (size_t i = 0; pictures != NULL && i < n; i++)
        free(pictures[i].data);
    free(pictures);
}
