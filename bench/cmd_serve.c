/*
 * cmd_serve - volley bench serve: the other end of volley bench run.
 */
#include "bench/bench.h"
#include "bench/load/flow_ops.h"
#include "bench/load/load_server.h"
#include "bench/load/load_view.h"
#include "cli/addr.h"
#include "cli/json_out.h"
#include "file/path.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct serve_args {
    const char *listen;
    uint64_t port;
    bool once, json, quiet;
};

#define SERVE(member) offsetof(struct serve_args, member)

static const struct vly_opt serve_opts[] = {
    {"listen", 'l', VLY_OPT_TEXT, SERVE(listen), "ADDR",
     "address to listen on; :: is every address of IPv6 (default: 0.0.0.0)", 0, 0},
    {"port", 'p', VLY_OPT_NUMBER, SERVE(port), "N", "TCP port; 0 picks a free one (default: 7712)",
     0, 65535},
    {"once", '1', VLY_OPT_FLAG, SERVE(once), NULL, "end after one run", 0, 0},
    {"json", 0, VLY_OPT_FLAG, SERVE(json), NULL, "print one JSON object a line on standard output",
     0, 0},
    {"quiet", 'q', VLY_OPT_FLAG, SERVE(quiet), NULL, "print nothing but errors", 0, 0},
};

static const struct vly_opt_set serve_set = {
    .command = "bench serve",
    .usage = "[OPTION...]",
    .about =
        "Serves volley bench run, many clients at once, until interrupted. The data goes over\n"
        "ports that are picked for each run; a firewall has to let TCP and UDP through.\n",
    .groups = {{"Options", serve_opts, sizeof(serve_opts) / sizeof(serve_opts[0])}},
};

struct serve {
    struct vly_cli cli;
    bool quiet;
};

static void on_listening(void *user, const struct sockaddr_storage *at)
{
    const struct serve *s = user;
    char host[64] = "?", port[8] = "?";
    socklen_t len =
        at->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    (void)getnameinfo((const struct sockaddr *)at, len, host, sizeof(host), port, sizeof(port),
                      NI_NUMERICHOST | NI_NUMERICSERV);
    if (s->cli.json) {
        json_t *event = vly_json_event("listening");

        vly_json_text(event, "proto", "tcp");
        vly_json_text(event, "address", host);
        vly_json_count(event, "port", strtoul(port, NULL, 10));
        vly_json_emit(event);
    }
    if (!s->quiet)
        vly_cli_say(&s->cli,
                    strchr(host, ':') != NULL ? "waiting for runs on TCP [%s]:%s; Ctrl-C ends"
                                              : "waiting for runs on TCP %s:%s; Ctrl-C ends",
                    host, port);
}

static void on_session(void *user, const struct bench_load_session *session)
{
    const struct serve *s = user;

    bench_load_view_session(&s->cli, session, s->quiet);
}

static int serve_at(struct serve *s, const struct serve_args *args,
                    const struct sockaddr_storage *at)
{
    struct bench_load_server server = {
        .at = *at,
        .once = args->once,
        .on_listening = on_listening,
        .on_session = on_session,
        .user = s,
    };
    struct vly_fault why;

    if (bench_load_server_run(&server, &why) != 0)
        return vly_cli_fail(&s->cli, why.err, "%s", why.text);
    if (s->cli.json)
        vly_json_emit(vly_json_event("stopped"));
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

/* By the plain call: a loop's look-up would leave threads behind, which forks and signals do not go
 * with. */
static int resolve(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int error = getaddrinfo(host, NULL, &hints, &found);

    if (error != 0)
        return error;
    memset(out, 0, sizeof(*out));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    (void)bench_sockaddr_port(out, port);
    return 0;
}

static int run(struct serve *s, const struct serve_args *args)
{
    struct sockaddr_storage at;
    char host[VLY_HOST_BYTES] = "0.0.0.0";
    int error;

    if (args->listen != NULL)
        host_copy(args->listen, host);
    error = resolve(host, (uint16_t)args->port, &at);
    if (error != 0)
        return vly_cli_fail(&s->cli, VLY_E_UNREACHABLE,
                            "--listen %s: %s; name one of this machine's addresses",
                            vly_shown(host).text, gai_strerror(error));
    return serve_at(s, args, &at);
}

int bench_cmd_serve(int argc, char **argv)
{
    struct serve_args args = {.port = BENCH_PORT_DEFAULT};
    struct serve s = {.cli = {.command = serve_set.command}};
    int code, first;

    s.cli.json = vly_cli_wants_json(argc, argv);
    first = vly_opt_parse(&serve_set, argc, argv, &args, &code);
    if (first < 0)
        return code;
    s.quiet = args.quiet;
    if (first < argc)
        return vly_cli_usage(&s.cli, "takes no operand, but '%s' is one",
                             vly_shown(argv[first]).text);
    if (args.listen != NULL && (*args.listen == '\0' || strlen(args.listen) >= VLY_HOST_BYTES))
        return vly_cli_usage(&s.cli, "--listen needs an address such as 0.0.0.0 or ::");
    return run(&s, &args);
}
