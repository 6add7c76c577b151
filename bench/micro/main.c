/*
 * main - volley-micro: how long the building blocks of a sealed packet take on this machine.
 */
#include "bench/micro/micro.h"
#include "cli/cli.h"
#include "cli/opt.h"

#include <inttypes.h>
#include <stdio.h>

/* What the number of instructions depends on. */
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BUILT_BY "no release build"
#elif defined(__clang__)
#define BUILT_BY "clang " __clang_version__
#else
#define BUILT_BY "gcc " __VERSION__
#endif

struct args {
    uint64_t rounds, count;
};

static const struct vly_opt opts[] = {
    {"rounds", 0, VLY_OPT_NUMBER, offsetof(struct args, rounds), "N",
     "slices of 0.2 ms of each case, in turns (default: 500)", 1, MICRO_ROUNDS_MAX},
    {"count", 0, VLY_OPT_NUMBER, offsetof(struct args, count), "BATCHES",
     "measure nothing: move so many batches through the engine without protection, for a program "
     "that counts instructions",
     1, MICRO_ROUNDS_MAX},
};

static const struct vly_opt_set set = {
    .command = "micro",
    .usage = "[OPTION...]",
    .about = "Measures single operations of every suite and backend of this machine, in CPU time:\n"
             "the fastest of many short slices, and the median to tell of noise.\n",
    .groups = {{"Options", opts, sizeof(opts) / sizeof(opts[0])}},
};

static void print_case(const struct micro_case *c, size_t rounds)
{
    double best_ns = c->slice_ns[0];

    printf("%-18s %-11s %-11s %6zu %8.1f %8.1f", c->what, c->backend, c->does, c->bytes, best_ns,
           c->slice_ns[rounds / 2]);
    if (c->bytes > 0 && best_ns > 0)
        printf(" %8.2f", (double)c->bytes / best_ns);
    else if (best_ns > 0)
        printf(" %8s %9.0f", "", 1e9 / best_ns);
    printf("\n");
}

/* Says what they are to be divided by. */
static int count(uint64_t batches)
{
    struct micro_engine *e;
    int err = micro_engine_new(&e, "none", MICRO_SMALL_BYTES);

    if (err != 0) {
        fprintf(stderr, "volley-micro: %s\n", vly_err_text(err));
        return VLY_EXIT_FAILED;
    }
    for (uint64_t i = 0; i < batches; i++)
        micro_engine_run(e);
    printf("{\"built_by\": \"%s\", \"packets\": %" PRIu64 "}\n", BUILT_BY, micro_engine_packets(e));
    micro_engine_free(e);
    return 0;
}

int main(int argc, char **argv)
{
    struct micro_case cases[MICRO_CASES_MAX];
    struct args args = {.rounds = 500};
    int code;
    int n;

    if (vly_opt_parse(&set, argc, argv, &args, &code) < 0)
        return code;
    if (args.count > 0)
        return count(args.count);
    n = micro_cases_make(cases, args.rounds);
    if (n < 0) {
        fprintf(stderr, "volley-micro: %s\n", vly_err_text(n));
        return VLY_EXIT_FAILED;
    }
    micro_measure(cases, (size_t)n, args.rounds);
    printf("%-18s %-11s %-11s %6s %8s %8s %8s %9s\n", "what", "backend", "does", "bytes", "best ns",
           "median", "GB/s", "a second");
    for (int i = 0; i < n; i++)
        print_case(&cases[i], args.rounds);
    micro_cases_free(cases, (size_t)n);
    return 0;
}
