#include "keys.h"

#include <assert.h>
#include <string.h>

#include "hkdf.h"
#include "wire.h"

static bool is_plain(const struct vly_keys_start *start)
{
    return start->suite->keys_bytes == 0;
}

/* HKDF-Expand(secret, label || suite, len): all derivations of SPEC 2.12. */
static void expand(const struct vly_keys_start *start, const uint8_t secret[VLY_KEY_BYTES],
                   const char *label, uint8_t *out, size_t len)
{
    uint8_t info[32];
    struct vly_wr w = vly_wr_init(info, sizeof(info));

    vly_wr_bytes(&w, label, strlen(label));
    vly_wr_u8(&w, start->suite->id);
    assert(!w.failed);
    vly_hkdf_expand(start->crypto, secret, (struct vly_span){info, vly_wr_len(&w)}, out, len);
}

static void expand_key(const struct vly_keys_start *start, const uint8_t secret[VLY_KEY_BYTES],
                       uint8_t key[VLY_KEY_BYTES], uint8_t iv[VLY_IV_BYTES])
{
    expand(start, secret, "volley1 key", key, VLY_KEY_BYTES);
    expand(start, secret, "volley1 iv", iv, VLY_IV_BYTES);
}

/* Fills in g->keys from g->secret. On failure there are none. */
static int generation_init(struct vly_generation *g, const struct vly_keys_start *start)
{
    const struct vly_crypto *crypto = start->crypto;
    uint8_t key[VLY_KEY_BYTES], iv[VLY_IV_BYTES];
    void *keys = crypto->secret_new(start->suite->keys_bytes);

    g->keys = NULL;
    if (keys == NULL)
        return VLY_E_NOMEM;
    expand_key(start, g->secret, key, iv);
    if (start->suite->init(keys, key, iv))
        g->keys = keys;
    else
        crypto->secret_free(keys, start->suite->keys_bytes);
    crypto->wipe(key, sizeof(key));
    crypto->wipe(iv, sizeof(iv));
    return g->keys != NULL ? 0 : VLY_E_NOMEM;
}

static void generation_fini(struct vly_generation *g, const struct vly_keys_start *start)
{
    if (g->keys != NULL) {
        start->suite->fini(g->keys);
        start->crypto->secret_free(g->keys, start->suite->keys_bytes);
    }
    start->crypto->wipe(g, sizeof(*g));
}

/* The generation behind `g`. `next` is all zero after a failure. */
static int generation_after(const struct vly_generation *g, const struct vly_keys_start *start,
                            struct vly_generation *next)
{
    int err;

    expand(start, g->secret, "volley1 next", next->secret, sizeof(next->secret));
    err = generation_init(next, start);
    if (err != 0)
        generation_fini(next, start);
    return err;
}

static void keylog_tell(const struct vly_keys_start *start, const struct vly_generation *g,
                        uint64_t generation)
{
    uint8_t key[VLY_KEY_BYTES], iv[VLY_IV_BYTES];

    if (start->keylog.on_key == NULL)
        return;
    expand_key(start, g->secret, key, iv);
    start->keylog.on_key(start->keylog.ctx, start->cid, start->suite, generation, key, iv);
    start->crypto->wipe(key, sizeof(key));
    start->crypto->wipe(iv, sizeof(iv));
}

/* What is kept of `start`, with the defaults filled in. */
static struct vly_keys_start start_kept(const struct vly_keys_start *start)
{
    struct vly_keys_start kept = *start;

    assert(is_plain(start) == (start->secret == NULL));
    assert(start->update_pkts <= VLY_KEY_UPDATE_PKTS);
    kept.secret = NULL;
    if (kept.update_pkts == 0)
        kept.update_pkts = VLY_KEY_UPDATE_PKTS;
    if (is_plain(start))
        kept.update_pkts = UINT64_MAX; /* has no generations */
    if (kept.forgery_limit_pkts == 0)
        kept.forgery_limit_pkts = start->suite->forgery_limit_pkts;
    return kept;
}

int vly_send_keys_new(struct vly_send_keys **out, const struct vly_keys_start *start)
{
    struct vly_send_keys *k = start->crypto->secret_new(sizeof(*k));
    int err = 0;

    *out = k;
    if (k == NULL)
        return VLY_E_NOMEM;
    k->start = start_kept(start);
    if (is_plain(start))
        return 0;
    memcpy(k->now.secret, start->secret, sizeof(k->now.secret));
    err = generation_init(&k->now, &k->start);
    if (err == 0) {
        keylog_tell(&k->start, &k->now, 0);
        return 0;
    }
    vly_send_keys_free(k);
    *out = NULL;
    return err;
}

int vly_recv_keys_new(struct vly_recv_keys **out, const struct vly_keys_start *start)
{
    struct vly_recv_keys *k = start->crypto->secret_new(sizeof(*k));
    int err;

    *out = k;
    if (k == NULL)
        return VLY_E_NOMEM;
    k->start = start_kept(start);
    k->lowest_pn = UINT64_MAX;
    if (is_plain(start))
        return 0;
    memcpy(k->now.secret, start->secret, sizeof(k->now.secret));
    err = generation_init(&k->now, &k->start);
    if (err == 0)
        err = generation_after(&k->now, &k->start, &k->next);
    if (err == 0) {
        keylog_tell(&k->start, &k->now, 0);
        return 0;
    }
    vly_recv_keys_free(k);
    *out = NULL;
    return err;
}

void vly_send_keys_free(struct vly_send_keys *k)
{
    if (k == NULL)
        return;
    generation_fini(&k->now, &k->start);
    k->start.crypto->secret_free(k, sizeof(*k));
}

void vly_recv_keys_free(struct vly_recv_keys *k)
{
    if (k == NULL)
        return;
    generation_fini(&k->now, &k->start);
    generation_fini(&k->next, &k->start);
    generation_fini(&k->old, &k->start);
    k->start.crypto->secret_free(k, sizeof(*k));
}

static int send_update(struct vly_send_keys *k, uint64_t pn)
{
    struct vly_generation next;
    int err = generation_after(&k->now, &k->start, &next);

    if (err != 0)
        return err;
    generation_fini(&k->now, &k->start);
    k->now = next;
    k->start.crypto->wipe(&next, sizeof(next));
    k->generation++;
    k->first_pn = pn;
    k->acked = false;
    keylog_tell(&k->start, &k->now, k->generation);
    return 0;
}

/* RULE 12 */
int vly_send_keys_for(struct vly_send_keys *k, uint64_t pn, bool *phase)
{
    uint64_t used_pkts = pn - k->first_pn; /* numbers left out count as well */
    int err = 0;

    if (used_pkts >= k->start.update_pkts) {
        if (k->acked)
            err = send_update(k, pn);
        else if (used_pkts >= 2 * k->start.update_pkts)
            err = VLY_E_LIMIT;
    }
    *phase = vly_send_keys_phase(k);
    return err;
}

void vly_send_keys_on_ack(struct vly_send_keys *k, uint64_t pn)
{
    if (pn >= k->first_pn)
        k->acked = true;
}

void vly_send_keys_seal(struct vly_send_keys *k, struct vly_aead_job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(jobs[i].number >= k->next_pn);
        k->next_pn = jobs[i].number + 1;
    }
    k->start.suite->seal(k->now.keys, jobs, n);
}

/* RULE 13 */
static int on_forgery(struct vly_recv_keys *k)
{
    k->forgeries++;
    return k->start.forgery_limit_pkts > 0 && k->forgeries >= k->start.forgery_limit_pkts
               ? VLY_E_LIMIT
               : VLY_E_AUTH;
}

/* Packet `pn` verified under the next keys: they are the present ones. */
static int recv_update(struct vly_recv_keys *k, uint64_t pn, uint64_t old_until_ns)
{
    struct vly_generation next;
    int err;

    if (!k->acked)
        return VLY_E_PROTOCOL; /* RULE 12 */
    err = generation_after(&k->next, &k->start, &next);
    if (err != 0)
        return err;
    generation_fini(&k->old, &k->start);
    k->old = k->now;
    k->now = k->next;
    k->next = next;
    k->start.crypto->wipe(&next, sizeof(next));
    k->generation++;
    k->lowest_pn = pn;
    k->acked = false;
    k->old_until_ns = old_until_ns;
    keylog_tell(&k->start, &k->now, k->generation);
    return 0;
}

/* The keys that packet `pn` is tried with. */
static struct vly_generation *recv_pick(struct vly_recv_keys *k, uint64_t pn, bool phase)
{
    if (vly_recv_keys_is_present(k, phase))
        return &k->now;
    return k->old.keys != NULL && pn < k->lowest_pn ? &k->old : &k->next;
}

static void old_expire(struct vly_recv_keys *k, uint64_t now_ns)
{
    if (k->old.keys != NULL && now_ns >= k->old_until_ns)
        generation_fini(&k->old, &k->start);
}

/* RULE 9: until the tag has verified, nothing changes but the count of forgeries. */
int vly_recv_keys_open(struct vly_recv_keys *k, struct vly_aead_job *job, bool phase,
                       uint64_t now_ns, uint64_t keep_old_ns)
{
    struct vly_generation *g;

    old_expire(k, now_ns);
    if (phase && is_plain(&k->start))
        return on_forgery(k);
    g = recv_pick(k, job->number, phase);
    k->start.suite->open(g->keys, job, 1);
    if (!job->ok)
        return on_forgery(k);
    if (g == &k->next)
        return recv_update(k, job->number, vly_time_add(now_ns, keep_old_ns));
    if (g == &k->now && job->number < k->lowest_pn)
        k->lowest_pn = job->number;
    return 0;
}

int vly_recv_keys_open_run(struct vly_recv_keys *k, struct vly_aead_job *jobs, size_t n,
                           uint64_t now_ns)
{
    int err = 0;

    old_expire(k, now_ns);
    k->start.suite->open(k->now.keys, jobs, n);
    for (size_t i = 0; i < n; i++) {
        if (!jobs[i].ok)
            err = on_forgery(k) == VLY_E_LIMIT ? VLY_E_LIMIT : err;
        else if (jobs[i].number < k->lowest_pn)
            k->lowest_pn = jobs[i].number;
    }
    return err;
}

void vly_recv_keys_on_ack_sent(struct vly_recv_keys *k, uint64_t largest_pn)
{
    if (k->lowest_pn <= largest_pn)
        k->acked = true;
}
