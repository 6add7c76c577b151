/*
 * client_close - why a connection ended before its work was done, in words, and whether the server
 * was the one that was meant.
 */
#include "crypto/keytext.h"
#include "file/client_internal.h"
#include "file/path.h"

void vly_client_tell_key(struct vly_file_client *c, const struct vly_failure *why)
{
    uint8_t key[VLY_PUBLIC_KEY_BYTES];

    if (c->events->on_server_key != NULL && c->link->ops->peer_key(c->link, key))
        c->events->on_server_key(c->ctx, key, why);
}

/* The server closed, or broke off, and said why or not. */
static void record_by_server(struct vly_file_client *c, int err, uint64_t code, const char *reason)
{
    char text[VLY_FAULT_TEXT / 2];

    if (err == 0)
        err = VLY_E_CLOSED;
    if (err == VLY_E_CLOSED && code != 0 && code != VLY_WIRE_CANCELLED)
        err = vly_err_from_wire(code);
    vly_escape_text(text, sizeof text, vly_span_str(reason));
    vly_client_record(c, err, err == VLY_E_LOST ? "the connection to %s was lost: %s" : "%s: %s",
                      c->server_name, text[0] != '\0' ? text : vly_err_text(err));
}

static void record_silence(struct vly_file_client *c, int err)
{
    double timeout_s = (double)c->timeout_ns / 1e9;

    if (err == VLY_E_LOST)
        vly_client_record(c, err, "the connection to %s was lost: nothing came for %.1f s",
                          c->server_name, timeout_s);
    else if (c->over_tcp)
        vly_client_record(c, err,
                          "no answer from %s within %.1f s; is 'volley serve --tcp' running "
                          "there, and does its TCP port get through?",
                          c->server_name, timeout_s);
    else
        vly_client_record(c, err,
                          "no answer from %s within %.1f s; is 'volley serve' running there, "
                          "not with --tcp alone, and does its UDP port get through?",
                          c->server_name, timeout_s);
}

/* A key at one end alone, or another one at each. */
static void record_no_proof(struct vly_file_client *c, const char *reason)
{
    char text[VLY_FAULT_TEXT / 2];

    vly_escape_text(text, sizeof text, vly_span_str(reason));
    vly_client_record(c, VLY_E_AUTH, "%s: %s; %s", c->server_name,
                      text[0] != '\0' ? text : vly_err_text(VLY_E_AUTH),
                      c->shared_key ? "--key needs the same file at both ends"
                                    : "if it was started with --key, give the same file here");
}

/* The server's key is not the known one, or none is known. */
static void record_disbelief(struct vly_file_client *c, int err)
{
    uint8_t key[VLY_PUBLIC_KEY_BYTES];

    if (!c->link->ops->peer_key(c->link, key)) {
        vly_client_record(c, err, "%s: %s", c->server_name, vly_err_text(err));
        return;
    }
    vly_client_record(c, err, "%s: %s; it has shown %s", c->server_name, vly_err_text(err),
                      vly_fingerprint(key).s);
    vly_client_tell_key(c, &(struct vly_failure){.err = err, .text = c->fault.text});
}

void vly_client_record_close(struct vly_file_client *c, int err, uint64_t code, const char *reason)
{
    const char *name = c->server_name;

    if (c->cancelled)
        vly_client_record(c, VLY_E_CANCELLED, "given up; what was not finished is dropped");
    else if (err == VLY_E_NO_ANSWER || (err == VLY_E_LOST && reason[0] == '\0'))
        record_silence(c, err);
    else if (err == VLY_E_HOST_UNKNOWN || err == VLY_E_HOST_CHANGED)
        record_disbelief(c, err);
    else if (err == VLY_E_SUITE && c->plain)
        vly_client_record(c, err, "%s is encrypted: leave out --plain, or restart it with --plain",
                          name);
    else if (err == VLY_E_SUITE)
        vly_client_record(c, err,
                          "%s takes none of the ciphers of this end: --suite, at either end, "
                          "allows others; was it started with --plain? Restart it without",
                          name);
    else if (err == VLY_E_AUTH)
        record_no_proof(c, reason);
    else
        record_by_server(c, err, code, reason);
}
