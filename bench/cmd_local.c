#include "bench/bench.h"

int bench_cmd_local(int argc, char **argv)
{
    const struct vly_cli cli = {.command = "bench local"};

    (void)argc;
    (void)argv;
    return vly_cli_usage(&cli, "is not built yet");
}
