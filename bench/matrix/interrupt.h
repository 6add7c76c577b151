/*
 * interrupt - Ctrl-C, SIGTERM and SIGHUP as a flag, for commands without a loop of their own.
 */
#ifndef BENCH_INTERRUPT_H
#define BENCH_INTERRUPT_H

#include <stdbool.h>

/* From now on the first of these signals raises the flag; more of them are not heeded. The flag is
 * static. */
const volatile bool *bench_interrupt_open(void);
/* 128 + the signal that came, 0 when none has. */
int bench_interrupt_exit_code(void);

#endif
