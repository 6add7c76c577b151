/*
 * cmd_serve - volley serve [DIR]: serves a directory until it is interrupted.
 */
#include "cli/addr.h"
#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/permits.h"
#include "cli/protection.h"
#include "cli/serve_view.h"
#include "cli/signals.h"
#include "crypto/keytext.h"
#include "file/path.h"

#include <string.h>
#include <unistd.h>
#include <uv.h>

#define LOOKUP_NS VLY_S(10)

struct serve_args {
    struct vly_net_args net; /* first: the tables of the network options rely on it */
    const char *listen;
    uint64_t port, max_clients;
    bool writable;
};

static const struct vly_opt serve_opts[] = {
    {"listen", 'l', VLY_OPT_TEXT, offsetof(struct serve_args, listen), "ADDR",
     "address to listen on; :: is every address of IPv6 (default: 0.0.0.0)", 0, 0},
    {"port", 'p', VLY_OPT_NUMBER, offsetof(struct serve_args, port), "N",
     "port, of UDP and TCP alike; 0 picks a free one (default: 7711)", 0, 65535},
    {"writable", 'w', VLY_OPT_FLAG, offsetof(struct serve_args, writable), NULL,
     "accept uploads into DIR", 0, 0},
    {"max-clients", 0, VLY_OPT_NUMBER, offsetof(struct serve_args, max_clients), "N",
     "serve at most so many at once (default: 1024)", 1, 65535},
};

static const struct vly_opt_set serve_set = {
    .command = "serve",
    .usage = "[DIR] [OPTION...]",
    .about =
        "Serves DIR (the current directory) until interrupted, to many clients at once.\n"
        "Nothing outside DIR can be reached. Everything is encrypted; whom it lets in, authorized\n"
        "keys say, if there are any.\n",
    .groups = {{"Options", serve_opts, sizeof(serve_opts) / sizeof(serve_opts[0])}},
};

struct serve {
    struct vly_cli cli;
    uv_loop_t loop;
    struct vly_signals signals;
    struct vly_serve_view view;
    struct vly_server *server;
    struct vly_protection protection;
    struct vly_permits permits;
};

#define PERMITS_BYTES 256

static void on_closed(void *ctx)
{
    struct serve *s = ctx;

    vly_serve_view_close(&s->view);
    vly_signals_close(&s->signals);
    if (s->cli.json)
        vly_json_emit(vly_json_event("stopped"));
}

static void on_signal(void *ctx, int signum)
{
    struct serve *s = ctx;

    vly_serve_view_stopping(&s->view, signum);
    vly_server_close(s->server, on_closed, s);
}

/* Who proves himself how: by keys, by one that both ends hold, or not at all. */
static const char *method_name(const struct vly_protection *p)
{
    return p->plain ? "plain" : p->psk != NULL ? "psk" : "keys";
}

static void say_carrier(const struct serve *s, const char *proto, const char *permits)
{
    const struct vly_protection *p = &s->protection;
    json_t *event = vly_json_event("listening");

    vly_json_text(event, "proto", proto);
    vly_json_text(event, "address", vly_server_address(s->server));
    vly_json_count(event, "port", vly_server_port(s->server));
    vly_json_text(event, "protection", method_name(p));
    if (p->secret != NULL) {
        vly_json_text(event, "fingerprint", vly_fingerprint(p->public_key).s);
        vly_json_text(event, "key", vly_public_key_text(p->public_key).s);
    }
    vly_json_text(event, "permits", permits);
    vly_json_emit(event);
}

static void say_listening(const struct serve *s, const struct serve_args *args, const char *root)
{
    const struct vly_net_args *net = &args->net;
    const struct vly_protection *p = &s->protection;
    const char *address = vly_server_address(s->server);
    bool is_v6 = strchr(address, ':') != NULL, over_udp = net->udp || !net->tcp;
    const char *carriers = !net->tcp ? "UDP" : over_udp ? "UDP and TCP" : "TCP";
    char permits[PERMITS_BYTES];

    vly_permits_text(&s->permits, permits, sizeof(permits));
    if (net->json && over_udp)
        say_carrier(s, "udp", permits);
    if (net->json && net->tcp)
        say_carrier(s, "tcp", permits);
    if (net->quiet)
        return;
    vly_cli_say(&s->cli, "serving %s on %s %s%s%s:%u: %s; %s%s; Ctrl-C ends", vly_shown(root).text,
                carriers, is_v6 ? "[" : "", address, is_v6 ? "]" : "", vly_server_port(s->server),
                permits,
                p->plain         ? "NOT encrypted"
                : p->psk != NULL ? "encrypted by the shared key"
                                 : "encrypted, its key is ",
                p->secret != NULL ? vly_fingerprint(p->public_key).s : "");
    if (p->made)
        vly_cli_say(&s->cli, "made a key for this server: %s", vly_shown(p->key_path.s).text);
}

/* Opens the server; the secrets are not needed here any more. */
static int open_server(struct serve *s, const struct serve_args *args, const char *root,
                       const struct sockaddr *address)
{
    struct vly_server_options opt = {
        .size = sizeof(opt),
        .root = root,
        .listen = address,
        .both_carriers = args->net.tcp && args->net.udp,
        .max_clients = (size_t)args->max_clients,
        .events = &vly_serve_view_events,
        .ctx = &s->view,
    };
    struct vly_failure why = {0};
    int err;

    vly_net_fill(&opt.transport, &args->net);
    if (!s->protection.plain)
        opt.transport.security = &s->protection.security;
    vly_permits_fill(&s->permits, &opt);
    err = vly_server_open(&s->server, &s->loop, &opt, &why);
    return err == 0 ? 0 : vly_cli_fail(&s->cli, why.err, "%s", why.text);
}

static int serve_at(struct serve *s, const struct serve_args *args, const char *root,
                    const struct sockaddr *address)
{
    int code = open_server(s, args, root, address);

    if (code != 0)
        return code;
    vly_signals_open(&s->signals, &s->loop, on_signal, s);
    vly_serve_view_open(&s->view, &s->loop, &s->cli, &args->net);
    say_listening(s, args, root);
    vly_protection_wipe(&s->protection);
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    return VLY_EXIT_OK;
}

/* Copies the address without the brackets that an IPv6 address may stand in. It fits. */
static void host_copy(const char *listen, char host[VLY_HOST_BYTES])
{
    size_t len = strlen(listen);
    bool bracketed = len > 2 && listen[0] == '[' && listen[len - 1] == ']';

    memcpy(host, listen + bracketed, len + 1 - bracketed);
    if (bracketed)
        host[len - 2] = '\0';
}

static int run(const struct vly_cli *cli, const struct serve_args *args, const char *root)
{
    static struct serve s; /* static: a name look-up that hangs outlives this function */
    struct vly_addr_list list;
    char host[VLY_HOST_BYTES] = "0.0.0.0";
    const char *why;
    int code, err;

    if (args->listen != NULL)
        host_copy(args->listen, host);
    s = (struct serve){.cli = *cli};
    code = vly_permits_open(&s.permits, cli, &args->net, root, args->writable);
    if (code == 0)
        code = vly_protection_open(&s.protection, cli, &args->net, VLY_END_SERVER);
    if (code != 0)
        return code;
    if (uv_loop_init(&s.loop) != 0)
        return vly_cli_fail(cli, VLY_E_NOMEM, "out of memory");
    err = vly_addr_resolve(&s.loop, host, (uint16_t)args->port, LOOKUP_NS, &list, &why);
    if (err != 0)
        code = vly_cli_fail(cli, err, "--listen %s: %s; name one of this machine's addresses",
                            vly_shown(host).text, why);
    else
        code = serve_at(&s, args, root, (const struct sockaddr *)&list.at[0]);
    if (err == VLY_E_NO_ANSWER) /* the thread that looks up would hold up a normal exit */
        _exit(code);
    (void)uv_run(&s.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&s.loop);
    vly_protection_close(&s.protection);
    vly_permits_close(&s.permits);
    return code;
}

int vly_cmd_serve(int argc, char **argv)
{
    struct vly_opt_set set = serve_set;
    struct serve_args args = {.port = VLY_PORT_DEFAULT};
    struct vly_cli cli = {.command = "serve"};
    int code, first;

    set.groups[1] = vly_net_group;
    set.groups[2] = vly_server_keys_group;
    set.groups[3] = vly_protection_group;
    set.groups[4] = vly_talk_group;
    first = vly_opt_parse(&set, argc, argv, &args, &code);
    if (first < 0)
        return code;
    cli.json = args.net.json;
    if (argc - first > 1)
        return vly_cli_usage(&cli, "serves one directory, not %d", argc - first);
    if (args.listen != NULL && (*args.listen == '\0' || strlen(args.listen) >= VLY_HOST_BYTES))
        return vly_cli_usage(&cli, "--listen needs an address such as 0.0.0.0 or ::");
    code = vly_net_check(&cli, &args.net);
    if (code != 0)
        return code;
    return run(&cli, &args, first < argc ? argv[first] : ".");
}
