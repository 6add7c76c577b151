/*
 * sink_fixture - a file sink for "target" in a temporary directory, and what it told. Fails the
 * running test when it cannot do its work.
 */
#ifndef VLY_TESTS_SINK_FIXTURE_H
#define VLY_TESTS_SINK_FIXTURE_H

#include "file/msg.h"
#include "file/sink.h"
#include "support/fake_link.h"
#include "support/tmpdir.h"

#define MIB (size_t)(1 << 20)

struct sink_fixture {
    struct tmpdir *dir;
    struct fake_pair *pair;
    struct vly_jobs jobs;
    struct vly_budget budget;
    struct vly_sink_spec spec;
    struct vly_sink *sink;
    unsigned ready, finished;
    uint64_t consumed;
    struct vly_fault result, why;
};

/* Ready to open a sink with `size` bytes; *state is the temporary directory. */
void sink_begin(struct sink_fixture *f, void **state, size_t size);
int sink_open(struct sink_fixture *f);
/* Runs what was offloaded. The pair itself never opens: only its threads are wanted. */
void sink_run_jobs(struct sink_fixture *f);
/* Closes, and sees that nothing is left but the target (if `kept`). */
void sink_end(struct sink_fixture *f, bool kept);
/* Random bytes; owned by the caller. */
uint8_t *sink_content(size_t len, uint64_t seed);
int sink_write_at(struct sink_fixture *f, const uint8_t *data, size_t offset, size_t len);
/* Cuts [0, len) into pieces of about `piece` bytes and shuffles them within `window` pieces. A
 * thread is done with its job now and then. */
void sink_write_shuffled(struct sink_fixture *f, const uint8_t *data, size_t len, size_t piece,
                         size_t window, uint64_t seed);
struct vly_sink_end sink_end_of(const uint8_t *data, size_t len);
/* Finishes as if `data` had been announced, and waits for the end. */
void sink_finish(struct sink_fixture *f, const uint8_t *data, size_t len);
void sink_assert_target(const struct sink_fixture *f, const uint8_t *data, size_t len);

#endif
