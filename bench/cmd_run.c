#include "bench/bench.h"

int bench_cmd_run(int argc, char **argv)
{
    const struct vly_cli cli = {.command = "bench run"};

    (void)argc;
    (void)argv;
    return vly_cli_usage(&cli, "is not built yet");
}
