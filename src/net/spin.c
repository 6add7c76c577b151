#include "net/spin.h"

#include "net/clock.h"

#include <poll.h>
#include <sched.h>

#define CREDIT_FIRST 8u
#define CREDIT_MAX 16u
#define CREDIT_LOSS 4u
#define TRY_EVERY 64u
#define PAUSES 6 /* between looks: under a microsecond */

static void rest(void)
{
    for (int i = 0; i < PAUSES; i++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
}

void vly_spin_init(struct vly_spin *s, bool allowed)
{
    cpu_set_t set;
    bool has_spare = sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1;

    *s = (struct vly_spin){.allowed = allowed && has_spare, .credit = CREDIT_FIRST};
}

bool vly_spin_is_due(struct vly_spin *s)
{
    if (!s->allowed)
        return false;
    if (s->credit > 0)
        return true;
    if (++s->skipped < TRY_EVERY)
        return false;
    s->skipped = 0;
    return true;
}

void vly_spin_note(struct vly_spin *s, bool paid)
{
    if (paid && s->credit < CREDIT_MAX)
        s->credit++;
    else if (!paid)
        s->credit = s->credit > CREDIT_LOSS ? s->credit - CREDIT_LOSS : 0;
}

bool vly_spin_wait(struct vly_spin *s, int fd)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    uint64_t until_ns;
    bool readable = false;

    if (!vly_spin_is_due(s))
        return false;
    until_ns = vly_clock_now_ns() + VLY_SPIN_NS;
    do {
        rest();
        readable = poll(&at, 1, 0) == 1;
    } while (!readable && vly_clock_now_ns() < until_ns);
    vly_spin_note(s, readable);
    return readable;
}
