#include "bench/bench.h"

int bench_cmd_linkemu(int argc, char **argv)
{
    const struct vly_cli cli = {.command = "bench linkemu"};

    (void)argc;
    (void)argv;
    return vly_cli_usage(&cli, "is not built yet");
}
