/*
 * trust - which server a client believes.
 *
 * A changed key is never a question: what one would answer without thinking is what an attacker
 * hopes for.
 */
#include "cli/trust.h"

#include "cli/json_out.h"
#include "crypto/keytext.h"
#include "file/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int vly_trust_open(struct vly_trust *t, const struct vly_cli *cli, const struct vly_net_args *net,
                   const struct vly_addr *server)
{
    struct vly_fault why;
    int err;

    *t = (struct vly_trust){.cli = cli,
                            .quiet = net->quiet,
                            .applies = !net->plain && net->keys.key == NULL,
                            .accept_new = net->keys.accept_new,
                            .name = vly_known_hosts_name(server)};
    if (!t->applies)
        return 0;
    err = vly_home_path(&t->file, VLY_HOME_KNOWN_HOSTS, &why);
    if (err == 0)
        err = vly_known_hosts_find(t->file.s, t->name.s, &t->known, &why);
    t->pinned = err == 0;
    return err == 0 || (err == VLY_E_NOT_FOUND && t->file.s[0] != '\0')
               ? 0
               : vly_cli_fail(cli, why.err, "%s", why.text);
}

void vly_trust_fill(const struct vly_trust *t, struct vly_security *security)
{
    security->server_key = t->pinned ? t->known.key : NULL;
    security->accept_new = t->accept_new;
}

/* Adds the server's key to known_hosts. That this fails is no reason to end the transfer. */
static void remember(struct vly_trust *t)
{
    struct vly_fault why;

    if (vly_known_hosts_add(t->file.s, t->name.s, t->key, &why) != 0)
        vly_cli_say(t->cli, "the key of %s could not be remembered: %s", vly_shown(t->name.s).text,
                    why.text);
    else if (!t->quiet)
        vly_cli_say(t->cli, "remembering the key of %s: %s", vly_shown(t->name.s).text,
                    vly_fingerprint(t->key).s);
    if (vly_known_hosts_find(t->file.s, t->name.s, &t->known, &why) != 0)
        t->known.line = 0;
    memcpy(t->known.key, t->key, sizeof(t->known.key));
    t->pinned = true;
}

/* A key that is new to the user, or not the known one. */
static void tell(const struct vly_trust *t)
{
    json_t *event = vly_json_event("server_key");

    vly_json_text(event, "host", t->name.s);
    vly_json_text(event, "fingerprint", vly_fingerprint(t->key).s);
    vly_json_text(event, "key", vly_public_key_text(t->key).s);
    vly_json_text(event, "known", t->pinned ? vly_fingerprint(t->known.key).s : "");
    vly_json_emit(event);
}

void vly_trust_on_key(struct vly_trust *t, const uint8_t key[VLY_PUBLIC_KEY_BYTES],
                      const struct vly_failure *why)
{
    memcpy(t->key, key, sizeof(t->key));
    t->shown = true;
    if (t->cli->json && !(t->pinned && why == NULL))
        tell(t);
    if (why == NULL && t->applies && !t->pinned)
        remember(t);
}

/* ---- asking ---- */

/* One line from the terminal; only a whole "y" or "yes" is one. */
static bool read_yes(int tty)
{
    char answer[16];
    size_t len = 0;
    bool too_long = false;

    for (;;) {
        char c;
        ssize_t n = read(tty, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || c == '\n')
            break;
        if (len + 1 < sizeof(answer))
            answer[len++] = c;
        else
            too_long = true;
    }
    answer[len] = '\0';
    return !too_long && (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0);
}

/* Who sees no question must not be asked: then *asked stays false. */
static bool ask(const struct vly_trust *t, bool *asked)
{
    char question[VLY_HOST_BYTES + 256];
    bool yes = false;
    int len, tty;

    *asked = false;
    if (t->cli->json || isatty(STDERR_FILENO) != 1)
        return false;
    tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return false;
    len = snprintf(question, sizeof(question),
                   "The key of %s is %s\n"
                   "and not known here; 'volley serve' shows it there. "
                   "Believe it and remember it? [y/N] ",
                   vly_shown(t->name.s).text, vly_fingerprint(t->key).s);
    if (len > 0 && write(tty, question, (size_t)len) == len) {
        *asked = true;
        yes = read_yes(tty);
    }
    close(tty);
    return yes;
}

static int fail_unknown(struct vly_trust *t)
{
    bool asked;

    if (ask(t, &asked)) {
        remember(t);
        return 0;
    }
    if (asked)
        return vly_cli_fail(t->cli, VLY_E_HOST_UNKNOWN, "the key of %s is not believed",
                            vly_shown(t->name.s).text);
    return vly_cli_fail(t->cli, VLY_E_HOST_UNKNOWN,
                        "the key of %s is not known here: %s; when 'volley serve' shows the same "
                        "one there, --accept-new remembers it",
                        vly_shown(t->name.s).text, vly_fingerprint(t->key).s);
}

static int fail_changed(const struct vly_trust *t)
{
    return vly_cli_fail(t->cli, VLY_E_HOST_CHANGED,
                        "the key of %s has CHANGED: it shows %s, but %s:%u says %s; somebody may "
                        "be in between; if you know why it changed, remove that line",
                        vly_shown(t->name.s).text, vly_fingerprint(t->key).s,
                        vly_shown(t->file.s).text, t->known.line, vly_fingerprint(t->known.key).s);
}

int vly_trust_fail(struct vly_trust *t, int err)
{
    if (!t->shown)
        return vly_cli_fail(t->cli, err, "%s: %s", vly_shown(t->name.s).text, vly_err_text(err));
    return err == VLY_E_HOST_CHANGED ? fail_changed(t) : fail_unknown(t);
}
