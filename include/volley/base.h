/*
 * base - what every other header stands on: errors, time, spans, the allocator.
 */
#ifndef VOLLEY_BASE_H
#define VOLLEY_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VLY_MUST_USE __attribute__((warn_unused_result))
#define VLY_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define VLY_MUST_USE
#define VLY_PRINTF(fmt, args)
#endif

/* Every fallible function returns 0 or one of these. X(name, value, text) */
#define VLY_ERRORS(X)                                                 \
    X(FAILED, -1, "failed")                                           \
    X(NOMEM, -2, "out of memory")                                     \
    X(INVALID, -3, "invalid argument")                                \
    X(TRUNCATED, -4, "the data ends too early")                       \
    X(MALFORMED, -5, "the data is malformed")                         \
    X(LIMIT, -6, "a limit is reached")                                \
    X(DUPLICATE, -7, "already there")                                 \
    X(STALE, -8, "too old to tell")                                   \
    X(AGAIN, -9, "not now")                                           \
    X(STATE, -10, "not possible in this state")                       \
    X(PROTOCOL, -11, "the peer broke the protocol")                   \
    X(NO_ANSWER, -12, "no answer")                                    \
    X(LOST, -13, "the connection was lost")                           \
    X(CLOSED, -14, "the peer closed the connection")                  \
    X(UNREACHABLE, -15, "the address cannot be reached")              \
    X(VERSION, -16, "the peer speaks another version")                \
    X(SUITE, -17, "the peer does not accept this kind of protection") \
    X(BUSY, -18, "the server is full")                                \
    X(NOT_FOUND, -19, "no such file or directory")                    \
    X(REFUSED, -20, "refused")                                        \
    X(EXISTS, -21, "the target exists")                               \
    X(PERMISSION, -22, "permission denied")                           \
    X(IS_DIRECTORY, -23, "is a directory")                            \
    X(NOT_DIRECTORY, -24, "is not a directory")                       \
    X(NOT_REGULAR, -25, "is neither a file nor a directory")          \
    X(BAD_NAME, -26, "the name is not allowed")                       \
    X(NO_SPACE, -27, "no space left")                                 \
    X(SOURCE_CHANGED, -28, "the source changed while it was read")    \
    X(INTEGRITY, -29, "the content does not match its hash")          \
    X(IO, -30, "input or output failed")                              \
    X(CANCELLED, -31, "cancelled")                                    \
    X(AUTH, -32, "the other end does not hold the same key")          \
    X(HOST_UNKNOWN, -33, "the server's key is not known here")        \
    X(HOST_CHANGED, -34, "the server's key is not the known one")

enum vly_err {
    VLY_OK = 0,
#define X(name, value, text) VLY_E_##name = (value),
    VLY_ERRORS(X)
#undef X
};

/* Returns the text of `err` for a person ("out of memory"); static, never NULL. */
const char *vly_err_text(int err);

/* Returns the name of `err` for a program ("NOMEM"; "OK" for 0); static, never NULL. */
const char *vly_err_name(int err);

/* Time: nanoseconds of a monotonic clock whose zero does not matter. */
#define VLY_NEVER UINT64_MAX
#define VLY_US(n) ((uint64_t)(n)*1000u)
#define VLY_MS(n) ((uint64_t)(n)*1000000u)
#define VLY_S(n) ((uint64_t)(n)*1000000000u)

/* `t_ns + delta_ns`, VLY_NEVER instead of wrapping round. */
static inline uint64_t vly_time_add(uint64_t t_ns, uint64_t delta_ns)
{
    return t_ns > VLY_NEVER - delta_ns ? VLY_NEVER : t_ns + delta_ns;
}

/* Time passed from `then_ns` to `now_ns`, 0 when `then_ns` is in the future. */
static inline uint64_t vly_time_since(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* Bytes somebody else owns. */
struct vly_span {
    const uint8_t *data;
    size_t len;
};

/* Memory as handed in by the embedder. `resize` is realloc-like: ptr NULL allocates, size 0
 * frees and returns NULL. `old_size` is what the block was last sized to. */
struct vly_alloc {
    void *(*resize)(void *ctx, void *ptr, size_t old_size, size_t size);
    void *ctx;
};

#endif
