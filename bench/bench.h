/*
 * bench - the commands of volley-bench; argv[0] is the command's name. They return an exit code
 * (cli/cli.h).
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "cli/cli.h"

int bench_cmd_local(int argc, char **argv);
int bench_cmd_serve(int argc, char **argv);
int bench_cmd_run(int argc, char **argv);
int bench_cmd_matrix(int argc, char **argv);
int bench_cmd_report(int argc, char **argv);
int bench_cmd_compare(int argc, char **argv);
int bench_cmd_linkemu(int argc, char **argv);

#endif
