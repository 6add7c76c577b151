/*
 * cmd_run - volley bench run HOST: memory to memory against a volley bench serve.
 */
#include "bench/bench.h"
#include "bench/load/load_view.h"
#include "cli/addr.h"
#include "cli/json_out.h"
#include "file/path.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define INTERVAL_FOR_PEOPLE_NS VLY_S(1)

struct run_args {
    bool tcp, tls, udp_raw, volley, volley_plain, volley_tcp;
    bool reverse, bidir, verify, no_spin, json, quiet;
    const char *cc, *io, *suite, *crypto;
    uint64_t port, duration_ns, bytes, parallel, warmup_ns, interval_ns, timeout_ns;
    uint64_t rate_bytes_per_s, mss_bytes, block_bytes, window_bytes, ack_every_pkts;
};

#define RUN(member) offsetof(struct run_args, member)

static const struct vly_opt protocol_opts[] = {
    {"tcp", 0, VLY_OPT_FLAG, RUN(tcp), NULL, "plain TCP of the kernel", 0, 0},
    {"tls", 0, VLY_OPT_FLAG, RUN(tls), NULL,
     "TLS 1.3 over TCP, AES-128-GCM, 16 KiB records; the certificate is not checked", 0, 0},
    {"udp-raw", 0, VLY_OPT_FLAG, RUN(udp_raw), NULL,
     "UDP without any reliability: the ceiling; what is lost is lost", 0, 0},
    {"volley", 0, VLY_OPT_FLAG, RUN(volley), NULL,
     "Volley, encrypted (default); the server makes a key for each run", 0, 0},
    {"volley-plain", 0, VLY_OPT_FLAG, RUN(volley_plain), NULL,
     "Volley without encryption: what that costs", 0, 0},
    {"volley-tcp", 0, VLY_OPT_FLAG, RUN(volley_tcp), NULL,
     "Volley over TCP, encrypted: what its own transport is worth", 0, 0},
};

static const struct vly_opt run_opts[] = {
    {"port", 'p', VLY_OPT_NUMBER, RUN(port), "N", "TCP port of the server (default: 7712)", 1,
     65535},
    {"time", 't', VLY_OPT_DURATION, RUN(duration_ns), "TIME",
     "run for so long, after the warm-up (default: 10s)", VLY_MS(10), VLY_S(86400)},
    {"bytes", 'n', VLY_OPT_SIZE, RUN(bytes), "SIZE", "move so much instead", 1, UINT64_C(1) << 50},
    {"parallel", 'P', VLY_OPT_NUMBER, RUN(parallel), "N", "connections at once (default: 1)", 1,
     BENCH_PARALLEL_MAX},
    {"reverse", 'R', VLY_OPT_FLAG, RUN(reverse), NULL, "the server sends", 0, 0},
    {"bidir", 0, VLY_OPT_FLAG, RUN(bidir), NULL,
     "both send at once; what goes to the server counts", 0, 0},
    {"omit", 'O', VLY_OPT_DURATION, RUN(warmup_ns), "TIME",
     "leave out so much at the beginning (default: 0)", 0, VLY_S(3600)},
    {"interval", 'i', VLY_OPT_DURATION, RUN(interval_ns), "TIME",
     "report so often (default: 1s for people, never with --json)", VLY_MS(10), VLY_S(3600)},
    {"verify", 0, VLY_OPT_FLAG, RUN(verify), NULL,
     "compare every byte that arrives, not only eight of each 16 KiB", 0, 0},
    {"json", 0, VLY_OPT_FLAG, RUN(json), NULL, "print one JSON object a line on standard output", 0,
     0},
    {"quiet", 'q', VLY_OPT_FLAG, RUN(quiet), NULL, "print the result alone", 0, 0},
};

static const struct vly_opt net_opts[] = {
    {"cc", 0, VLY_OPT_TEXT, RUN(cc), "NAME",
     "congestion control of the sender: one of the kernel's, or of volley's", 0, 0},
    {"rate", 0, VLY_OPT_RATE, RUN(rate_bytes_per_s), "RATE",
     "send no faster than this, all connections together, e.g. 100Mbit", 1000, UINT64_C(1) << 40},
    {"length", 'l', VLY_OPT_SIZE, RUN(block_bytes), "SIZE",
     "bytes of a write and of a read (default: 128KiB)", 1, BENCH_BLOCK_MAX},
    {"mss", 0, VLY_OPT_NUMBER, RUN(mss_bytes), "BYTES",
     "TCP's segment, or the datagram (default: the path's)", 64, BENCH_DATAGRAM_MAX},
    {"io", 0, VLY_OPT_CHOICE, RUN(io), "auto|splice|gso|mmsg|basic",
     "how datagrams are handed to the kernel (default: auto)", 0, 0},
    {"no-spin", 0, VLY_OPT_FLAG, RUN(no_spin), NULL,
     "volley-plain: sleep at once when nothing comes, at both ends", 0, 0},
    {"ack-every", 0, VLY_OPT_NUMBER, RUN(ack_every_pkts), "N",
     "volley over UDP: an ACK each so many packets, at both ends (default: it decides)", 1,
     BENCH_ACK_EVERY_MAX},
    {"window", 0, VLY_OPT_SIZE, RUN(window_bytes), "SIZE",
     "socket buffers of TCP; largest window and send buffer of volley (default: automatic)", 65536,
     UINT64_C(1) << 34},
    {"timeout", 0, VLY_OPT_DURATION, RUN(timeout_ns), "TIME",
     "give up after so long without a sign of the other end (default: 10s)", VLY_MS(100),
     VLY_S(3600)},
    {"suite", 0, VLY_OPT_CHOICE, RUN(suite), "auto|aes-256-gcm|chacha20-poly1305|aes-128-gcm",
     "how volley and volley-tcp encrypt (default: auto)", 0, 0},
    {"crypto", 0, VLY_OPT_CHOICE, RUN(crypto), "auto|openssl|ipsec-mb",
     "and who computes that, at both ends (default: auto)", 0, 0},
};

static const struct vly_opt_set run_set = {
    .command = "bench run",
    .usage = "HOST [OPTION...]",
    .about = "Moves data from this machine's memory to that of a machine where volley bench serve\n"
             "runs, and shows how fast it arrived and what it cost.\n",
    .groups =
        {
            {"Options", run_opts, sizeof(run_opts) / sizeof(run_opts[0])},
            {"Protocol", protocol_opts, sizeof(protocol_opts) / sizeof(protocol_opts[0])},
            {"Network", net_opts, sizeof(net_opts) / sizeof(net_opts[0])},
        },
};

/* ---- arguments ---- */

static bool protocol_of(const struct run_args *args, enum bench_protocol *out)
{
    *out = args->tcp            ? BENCH_TCP
           : args->tls          ? BENCH_TLS
           : args->udp_raw      ? BENCH_UDP_RAW
           : args->volley_plain ? BENCH_VOLLEY_PLAIN
           : args->volley_tcp   ? BENCH_VOLLEY_TCP
                                : BENCH_VOLLEY;
    return args->tcp + args->tls + args->udp_raw + args->volley + args->volley_plain +
               args->volley_tcp <=
           1;
}

/* A choice of the command line, "" for auto. They fit. */
static void choice_set(char *out, size_t cap, const char *choice)
{
    if (choice != NULL && strcmp(choice, "auto") != 0)
        (void)snprintf(out, cap, "%s", choice);
}

static void request_fill(struct bench_request *r, const struct run_args *args)
{
    r->duration_ns = args->duration_ns != 0 ? args->duration_ns
                     : args->bytes != 0     ? 0
                                            : r->duration_ns;
    r->bytes = args->bytes;
    r->parallel = args->parallel;
    r->reverse = args->reverse;
    r->bidir = args->bidir;
    r->verify = args->verify;
    r->no_spin = args->no_spin;
    r->warmup_ns = args->warmup_ns;
    r->interval_ns = args->interval_ns;
    if (r->interval_ns == 0 && !args->json && !args->quiet)
        r->interval_ns = INTERVAL_FOR_PEOPLE_NS;
    r->timeout_ns = args->timeout_ns;
    r->rate_bytes_per_s = args->rate_bytes_per_s;
    r->mss_bytes = args->mss_bytes;
    r->ack_every_pkts = args->ack_every_pkts;
    r->block_bytes = args->block_bytes;
    r->window_bytes = args->window_bytes;
    if (args->cc != NULL)
        (void)snprintf(r->cc, sizeof(r->cc), "%s", args->cc);
    choice_set(r->io, sizeof(r->io), args->io);
    choice_set(r->suite, sizeof(r->suite), args->suite);
    choice_set(r->crypto, sizeof(r->crypto), args->crypto);
}

/* Returns 0 or an exit code. */
static int request_of(const struct vly_cli *cli, const struct run_args *args,
                      struct bench_request *r)
{
    bench_request_init(r);
    if (!protocol_of(args, &r->protocol))
        return vly_cli_usage(cli, "one protocol can run at a time");
    if (args->duration_ns != 0 && args->bytes != 0)
        return vly_cli_usage(cli, "-t and -n do not go together");
    if (args->cc != NULL && (*args->cc == '\0' || strlen(args->cc) >= sizeof(r->cc)))
        return vly_cli_usage(cli, "--cc takes a name, not '%s'", vly_shown(args->cc).text);
    request_fill(r, args);
    return 0;
}

static bool names_port(const char *host)
{
    const char *bracket = strchr(host, ']');

    return strchr(bracket != NULL ? bracket : host, ':') != NULL;
}

/* ---- running ---- */

static void on_interval(void *user, const struct bench_load_interval *i)
{
    bench_load_view_interval(user, i);
}

static int run_at(struct bench_load_view *view, const struct vly_addr *server, uint64_t timeout_ns)
{
    static uv_loop_t loop; /* static: a name look-up that hangs outlives this function */
    struct bench_load_client client = {.on_interval = on_interval, .user = view};
    struct bench_load_result result = {.signum = 0};
    struct vly_addr_list list;
    const char *why;
    int code, err;

    if (uv_loop_init(&loop) != 0)
        return vly_cli_fail(&view->cli, VLY_E_NOMEM, "out of memory");
    err = vly_addr_resolve(&loop, server->host, server->port, timeout_ns, &list, &why);
    if (err != 0) {
        bench_sample_init(&result.forward);
        bench_sample_init(&result.back);
        (void)bench_sample_fail(&result.forward, err, "cannot reach %s: %s",
                                vly_shown(server->name).text, why);
    } else {
        client.at = list.at;
        client.n = list.n;
        client.name = server->name;
        bench_load_view_begin(view, server->name);
        bench_load_run(&loop, view->request, &client, &result);
    }
    code = bench_load_view_end(view, &result);
    bench_sample_fini(&result.forward);
    bench_sample_fini(&result.back);
    if (err == VLY_E_NO_ANSWER) /* the thread that looks up would hold up a normal exit */
        _exit(code);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    return code;
}

int bench_cmd_run(int argc, char **argv)
{
    struct run_args args = {.parallel = 1, .timeout_ns = VLY_S(10), .block_bytes = 128 << 10};
    struct bench_load_view view = {.cli = {.command = run_set.command}};
    struct bench_request request;
    struct vly_addr server;
    const char *why;
    int code, first;

    view.cli.json = vly_cli_wants_json(argc, argv);
    first = vly_opt_parse(&run_set, argc, argv, &args, &code);
    if (first < 0)
        return code;
    if (argc - first != 1)
        return vly_cli_usage(&view.cli, "needs one HOST, not %d", argc - first);
    code = request_of(&view.cli, &args, &request);
    if (code != 0)
        return code;
    if (vly_addr_parse(argv[first], &server, &why) != 0)
        return vly_cli_usage(&view.cli, "'%s': %s", vly_shown(argv[first]).text, why);
    if (server.has_path)
        return vly_cli_usage(&view.cli, "'%s' names a path; a run has none",
                             vly_shown(argv[first]).text);
    if (args.port != 0 || !names_port(argv[first]))
        server.port = args.port != 0 ? (uint16_t)args.port : BENCH_PORT_DEFAULT;
    (void)snprintf(server.name, sizeof(server.name),
                   strchr(server.host, ':') != NULL ? "[%s]:%u" : "%s:%u", server.host,
                   server.port);
    view.request = &request;
    view.quiet = args.quiet;
    return run_at(&view, &server, args.timeout_ns);
}
