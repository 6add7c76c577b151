#include "bench/bench.h"

int bench_cmd_compare(int argc, char **argv)
{
    const struct vly_cli cli = {.command = "bench compare"};

    (void)argc;
    (void)argv;
    return vly_cli_usage(&cli, "is not built yet");
}
