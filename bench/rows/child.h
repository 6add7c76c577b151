/*
 * child - programs that a row runs in the sides of a lab: what they say, how they end, what they
 * cost.
 *
 * All children of a set are read together, so that none of them waits for room in a pipe. Every
 * wait ends at the set's deadline and when *stop becomes true. Once a set is ended no process of it
 * runs, those that the children started included, and no descriptor is open.
 */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include "bench/lab/lab.h"

#define BENCH_CHILDREN_MAX 4
#define BENCH_CHILD_OUTPUT_MAX (UINT64_C(16) << 20) /* of standard output; what follows is lost */
#define BENCH_CHILD_LINE_BYTES 192                  /* kept of a line of standard error */

struct bench_child {
    char name[32]; /* of the program, for messages */
    pid_t pid;
    int pidfd;  /* -1: it has ended and was waited for */
    int fds[2]; /* standard output and error; -1: closed */
    char *out;  /* owned: what it wrote to standard output, NUL-terminated; NULL: nothing */
    size_t out_bytes, out_cap, out_read; /* out_read: as far as bench_child_line has given lines */
    char err[BENCH_CHILD_LINE_BYTES];    /* the latest whole line of standard error, or "" */
    char err_part[BENCH_CHILD_LINE_BYTES]; /* the line it is writing */
    size_t err_part_len;
    int status;         /* as waitpid gives it; when pidfd is -1 */
    uint64_t cpu_ns;    /* user and system, with the processes it waited for; likewise */
    uint64_t rss_bytes; /* the most that one of these held, and at least what this program had
                           resident when it started them; likewise */
};

struct bench_children {
    const struct bench_lab *lab; /* borrowed */
    const volatile bool *stop;   /* borrowed */
    uint64_t deadline_ns;        /* of vly_clock_now_ns */
    struct bench_child at[BENCH_CHILDREN_MAX];
    size_t n;
};

void bench_children_init(struct bench_children *set, const struct bench_lab *lab,
                         uint64_t deadline_ns, const volatile bool *stop);
/* Starts argv in a side; *out is the set's. Returns what bench_lab_spawn does, VLY_E_IO, or
 * VLY_E_LIMIT when the set is full; `why` says what failed. */
VLY_MUST_USE int bench_child_start(struct bench_children *set, enum bench_side side,
                                   char *const argv[], struct bench_child **out,
                                   char why[BENCH_WHY_BYTES]);
/* Waits for the next line of standard output; *line (no newline, NUL-terminated) lives until the
 * next call on the set. VLY_E_CLOSED: it ended without one. VLY_E_NO_ANSWER, VLY_E_CANCELLED,
 * VLY_E_NOMEM. */
VLY_MUST_USE int bench_child_line(struct bench_children *set, struct bench_child *c, char **line);
/* Waits until it has ended and all it wrote is read, at most until `until_ns`, or the deadline of
 * the set. VLY_E_NO_ANSWER, VLY_E_CANCELLED, VLY_E_NOMEM. */
VLY_MUST_USE int bench_child_wait(struct bench_children *set, struct bench_child *c,
                                  uint64_t until_ns);
/* Reads what the children say for so long, less when something happens. VLY_E_NO_ANSWER,
 * VLY_E_CANCELLED, VLY_E_NOMEM. */
VLY_MUST_USE int bench_children_turn(struct bench_children *set, uint64_t wait_ns);
/* Whether it has ended by itself, with exit code 0. */
bool bench_child_succeeded(const struct bench_child *c);
/* "iperf3 ended with code 1: unable to connect", one line. */
void bench_child_tell(const struct bench_child *c, char why[BENCH_WHY_BYTES]);
/* Whether processes that it started are still there. False where the kernel does not say. */
bool bench_child_has_children(const struct bench_child *c);
/* Asks it to end, and kills it when it does not in a moment; what it started likewise. Its status
 * and CPU time are known afterwards. */
void bench_child_end(struct bench_children *set, struct bench_child *c);
/* Ends all and frees what they said. */
void bench_children_end(struct bench_children *set);

#endif
