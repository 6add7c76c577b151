#include "bench/bench.h"

int bench_cmd_serve(int argc, char **argv)
{
    const struct vly_cli cli = {.command = "bench serve"};

    (void)argc;
    (void)argv;
    return vly_cli_usage(&cli, "is not built yet");
}
