/*
 * choose - which backend computes the sealed suites.
 */
#include "crypto/backend.h"

#include <string.h>

/* Those of "auto" in the order in which they are offered. */
static const struct {
    const char *name;
    enum vly_suite id;
    bool in_auto;
} suites[] = {
    {"aes-256-gcm", VLY_SUITE_AES_256_GCM, true},
    {"chacha20-poly1305", VLY_SUITE_CHACHA20, true},
    {"aes-128-gcm", VLY_SUITE_AES_128_GCM, false},
};

bool vly_backend_parse(const char *name, enum vly_backend *out)
{
    static const char *const names[] = {"auto", "openssl", "ipsec-mb"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum vly_backend)i;
            return true;
        }
    }
    return false;
}

static bool is_word(struct vly_span text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

static const struct vly_suite_ops *suite_of(enum vly_backend backend, enum vly_suite id)
{
    const struct vly_suite_ops *ipsec = NULL;

    if (backend != VLY_BACKEND_OPENSSL)
        ipsec = vly_ipsec_suite(id);
    return ipsec != NULL || backend == VLY_BACKEND_IPSEC_MB ? ipsec : vly_openssl_suite(id);
}

/* Suites on their way into a struct vly_crypto. */
struct chosen {
    enum vly_backend backend;
    const struct vly_suite_ops *found[VLY_SUITES_SEALED_MAX];
    size_t n;
};

static int choose(struct chosen *chosen, enum vly_suite id)
{
    const struct vly_suite_ops *ops = suite_of(chosen->backend, id);

    if (ops == NULL)
        return VLY_E_STATE;
    for (size_t i = 0; i < chosen->n; i++)
        if (chosen->found[i] == ops)
            return 0;
    chosen->found[chosen->n++] = ops;
    return 0;
}

/* One name of the list. */
static int choose_named(struct chosen *chosen, struct vly_span name)
{
    bool is_auto = is_word(name, "auto");
    int err = VLY_E_INVALID;

    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        if (!(is_auto && suites[i].in_auto) && !is_word(name, suites[i].name))
            continue;
        err = choose(chosen, suites[i].id);
        if (err != 0)
            break;
    }
    return err;
}

int vly_crypto_choose(struct vly_crypto *c, enum vly_backend backend, const char *suites_named)
{
    struct chosen chosen = {.backend = backend};
    const char *at = suites_named != NULL ? suites_named : "auto";

    for (;;) {
        size_t len = strcspn(at, ",");
        int err = choose_named(&chosen, (struct vly_span){(const uint8_t *)at, len});

        if (err != 0)
            return err;
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    memcpy(c->sealed, chosen.found, sizeof(chosen.found));
    return 0;
}
