/*
 * keyfile - files that hold one secret key.
 *
 * Their text is secret too: it is read into, and written from, locked memory that is wiped.
 */
#include "cli/keyfile.h"

#include "cli/guard.h"
#include "cli/home.h"
#include "crypto/crypto.h"
#include "file/path.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES 256

static const char *const headers[] = {
    [VLY_KEYFILE_SECRET] = "volley secret key 1\n",
    [VLY_KEYFILE_SHARED] = "volley pre-shared key 1\n",
};

static const char *const names[] = {
    [VLY_KEYFILE_SECRET] = "a secret key",
    [VLY_KEYFILE_SHARED] = "a pre-shared key, which 'volley keygen --psk' makes",
};

uint8_t *vly_keyfile_key_new(void)
{
    return vly_crypto_system()->secret_new(VLY_SECRET_BYTES);
}

void vly_keyfile_key_free(uint8_t *secret)
{
    vly_crypto_system()->secret_free(secret, VLY_SECRET_BYTES);
}

void vly_keyfile_public(const uint8_t *secret, uint8_t out[VLY_PUBLIC_KEY_BYTES])
{
    vly_crypto_system()->x25519_public(out, secret);
}

/* ---- reading ---- */

/* Takes exactly what is written: the header, the key, one line end (also CR LF) or none. */
static int parse(const char *text, size_t len, enum vly_keyfile_kind kind, uint8_t *key)
{
    const char *header = headers[kind], *end;
    size_t header_len = strlen(header), key_len;

    if (len < header_len || memcmp(text, header, header_len) != 0)
        return VLY_E_MALFORMED;
    text += header_len;
    len -= header_len;
    len -= len > 0 && text[len - 1] == '\n';
    len -= len > 0 && text[len - 1] == '\r';
    if (sodium_base642bin(key, VLY_SECRET_BYTES, text, len, NULL, &key_len, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text + len || key_len != VLY_SECRET_BYTES)
        return VLY_E_MALFORMED;
    return 0;
}

static int read_text(int fd, enum vly_keyfile_kind kind, uint8_t *key)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    char *text = crypto->secret_new(TEXT_BYTES);
    size_t len;
    int err = VLY_E_NOMEM;

    if (text != NULL && (err = vly_guard_read(fd, text, TEXT_BYTES, &len)) == 0)
        err = parse(text, len, kind, key);
    crypto->secret_free(text, TEXT_BYTES);
    return err == VLY_E_LIMIT ? VLY_E_MALFORMED : err;
}

int vly_keyfile_read(const char *path, enum vly_keyfile_kind kind, uint8_t **out,
                     struct vly_fault *why)
{
    int fd, err = vly_guard_open(path, VLY_GUARD_SECRET, &fd, why);
    uint8_t *key;

    *out = NULL;
    if (err != 0)
        return err;
    key = vly_keyfile_key_new();
    err = key != NULL ? read_text(fd, kind, key) : VLY_E_NOMEM;
    if (err == VLY_E_MALFORMED)
        vly_fault_set(why, err, "'%s' is not %s", vly_shown(path).text, names[kind]);
    else if (err != 0)
        err = vly_guard_fail(path, err, why);
    close(fd);
    if (err != 0)
        vly_keyfile_key_free(key);
    else
        *out = key;
    return err;
}

/* ---- making ---- */

static size_t write_text(char text[TEXT_BYTES], enum vly_keyfile_kind kind, const uint8_t *key)
{
    size_t len = strlen(headers[kind]);

    memcpy(text, headers[kind], len);
    sodium_bin2base64(text + len, TEXT_BYTES - len, key, VLY_SECRET_BYTES,
                      sodium_base64_VARIANT_ORIGINAL);
    len = strlen(text);
    text[len++] = '\n';
    return len;
}

int vly_keyfile_make(const char *path, enum vly_keyfile_kind kind, bool replace,
                     struct vly_fault *why)
{
    const struct vly_crypto *crypto = vly_crypto_system();
    struct vly_guard_file file = {.path = path, .mode = 0600, .replace = replace};
    int err = vly_home_make_parents(path, why);
    uint8_t *key = vly_keyfile_key_new();
    char *text = crypto->secret_new(TEXT_BYTES);

    if (err == 0 && (key == NULL || text == NULL)) {
        err = vly_fault_plain(why, VLY_E_NOMEM);
    } else if (err == 0) {
        crypto->random(crypto->random_ctx, key, VLY_SECRET_BYTES);
        file.data = text;
        file.len = write_text(text, kind, key);
        err = vly_guard_write(&file, why);
    }
    crypto->secret_free(text, TEXT_BYTES);
    vly_keyfile_key_free(key);
    return err;
}

int vly_keyfile_read_or_make(const char *path, uint8_t **out, bool *made, struct vly_fault *why)
{
    int err = vly_keyfile_read(path, VLY_KEYFILE_SECRET, out, why);

    *made = false;
    if (err != VLY_E_NOT_FOUND)
        return err;
    err = vly_keyfile_make(path, VLY_KEYFILE_SECRET, false, why);
    *made = err == 0;
    if (err != 0 && err != VLY_E_EXISTS) /* then another process was first */
        return err;
    return vly_keyfile_read(path, VLY_KEYFILE_SECRET, out, why);
}
