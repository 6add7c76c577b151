#ifndef VLY_TESTS_FUZZ_H
#define VLY_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input, borrowed for the call. Returns 0; a finding aborts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
