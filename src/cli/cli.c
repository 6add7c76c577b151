/*
 * cli - what the commands share: exit codes, one-line errors, the network options.
 */
#include "cli/cli.h"

#include "cli/json_out.h"
#include "cli/quantity.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES 2048

int vly_exit_code(int err)
{
    switch ((enum vly_err)err) {
    case VLY_OK:
        return VLY_EXIT_OK;
    case VLY_E_INVALID:
        return VLY_EXIT_USAGE;
    case VLY_E_NOT_FOUND:
        return VLY_EXIT_NOT_FOUND;
    case VLY_E_REFUSED:
    case VLY_E_EXISTS:
    case VLY_E_PERMISSION:
    case VLY_E_IS_DIRECTORY:
    case VLY_E_NOT_DIRECTORY:
    case VLY_E_NOT_REGULAR:
    case VLY_E_BAD_NAME:
    case VLY_E_BUSY:
    case VLY_E_SUITE:
        return VLY_EXIT_REFUSED;
    case VLY_E_PROTOCOL:
    case VLY_E_NO_ANSWER:
    case VLY_E_LOST:
    case VLY_E_CLOSED:
    case VLY_E_UNREACHABLE:
    case VLY_E_VERSION:
        return VLY_EXIT_NETWORK;
    case VLY_E_AUTH:
    case VLY_E_HOST_UNKNOWN:
    case VLY_E_HOST_CHANGED:
        return VLY_EXIT_TRUST;
    case VLY_E_INTEGRITY:
        return VLY_EXIT_INTEGRITY;
    case VLY_E_SOURCE_CHANGED:
        return VLY_EXIT_SOURCE_CHANGED;
    case VLY_E_NO_SPACE:
        return VLY_EXIT_NO_SPACE;
    case VLY_E_FAILED:
    case VLY_E_NOMEM:
    case VLY_E_TRUNCATED:
    case VLY_E_MALFORMED:
    case VLY_E_LIMIT:
    case VLY_E_DUPLICATE:
    case VLY_E_STALE:
    case VLY_E_AGAIN:
    case VLY_E_STATE:
    case VLY_E_IO:
    case VLY_E_CANCELLED:
        break;
    }
    return VLY_EXIT_FAILED;
}

/* ---- talking ---- */

static void error_line(const struct vly_cli *cli, const char *code, const char *text)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "volley %s: %s\n", cli->command, text);
    if (cli->json)
        vly_json_error(code, text);
}

int vly_cli_usage(const struct vly_cli *cli, const char *format, ...)
{
    char line[LINE_BYTES];
    char text[LINE_BYTES + 64];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    (void)snprintf(text, sizeof(text), "%s; see volley %s --help", line, cli->command);
    error_line(cli, vly_err_name(VLY_E_INVALID), text);
    return VLY_EXIT_USAGE;
}

int vly_cli_fail(const struct vly_cli *cli, int err, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    error_line(cli, vly_err_name(err), line);
    return vly_exit_code(err);
}

void vly_cli_say(const struct vly_cli *cli, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    (void)fflush(stdout);
    (void)fprintf(stderr, "volley %s: %s\n", cli->command, line);
}

void vly_cli_say_limits(const struct vly_cli *cli, const char *who,
                        const struct vly_transfer_stats *s)
{
    uint64_t sum_ns =
        s->limited_cwnd_ns + s->limited_flow_ns + s->limited_pacing_ns + s->limited_app_ns;
    double percent = 100 / (double)(sum_ns > 0 ? sum_ns : 1);

    vly_cli_say(cli,
                "%s was limited by: congestion window (%s at the end) %.0f %% of the time, "
                "receiver's window %.0f %%, pacing %.0f %%, nothing to send yet %.0f %%",
                who, vly_bytes_text(s->cwnd_bytes).s, (double)s->limited_cwnd_ns * percent,
                (double)s->limited_flow_ns * percent, (double)s->limited_pacing_ns * percent,
                (double)s->limited_app_ns * percent);
}

bool vly_cli_wants_json(int argc, char *const *argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

/* ---- network options ---- */

#define NET(member) offsetof(struct vly_net_args, member)

static const struct vly_opt net_opts[] = {
    {"udp", 0, VLY_OPT_FLAG, NET(udp), NULL,
     "go over UDP (the default); a server given --tcp as well offers both", 0, 0},
    {"tcp", 0, VLY_OPT_FLAG, NET(tcp), NULL, "go over one TCP connection; needed at both ends", 0,
     0},
    {"tcp-cc", 0, VLY_OPT_TEXT, NET(tcp_cc), "NAME",
     "congestion control of the kernel's TCP, as in cubic or bbr (default: the system's)", 0, 0},
    {"timeout", 0, VLY_OPT_DURATION, NET(timeout_ns), "TIME",
     "give up after so long without an answer (default: 10s)", VLY_MS(100), VLY_S(86400)},
    {"rate", 0, VLY_OPT_RATE, NET(rate_bytes_per_s), "RATE",
     "serve and put: send no faster than this, e.g. 100Mbit or 10MB (default: no limit); it is the "
     "server that limits a download",
     1000, 0},
    {"cc", 0, VLY_OPT_CHOICE, NET(cc), "cubic|reno|fixed",
     "congestion control of what this side sends; fixed needs --rate (default: cubic)", 0, 0},
    {"io", 0, VLY_OPT_CHOICE, NET(io), "auto|splice|gso|mmsg|basic",
     "how datagrams are handed to the kernel (default: auto, the best that works)", 0, 0},
    {"mss", 0, VLY_OPT_NUMBER, NET(mss_bytes), "BYTES",
     "largest datagram to send, 1200 to 65507 (default: what the path carries)", 1200, 65507},
    {"window", 0, VLY_OPT_SIZE, NET(window_bytes), "SIZE",
     "largest receive window and send buffer, e.g. 4MiB (default: automatic)", 65536,
     UINT64_C(1) << 34},
};

static const struct vly_opt talk_opts[] = {
    {"json", 0, VLY_OPT_FLAG, NET(json), NULL, "print one JSON object a line on standard output", 0,
     0},
    {"quiet", 'q', VLY_OPT_FLAG, NET(quiet), NULL, "print nothing but errors", 0, 0},
    {"verbose", 'v', VLY_OPT_FLAG, NET(verbose), NULL,
     "tell more: each file, and where the time went", 0, 0},
};

const struct vly_opt_group vly_net_group = {"Network", net_opts,
                                            sizeof(net_opts) / sizeof(net_opts[0])};
const struct vly_opt_group vly_talk_group = {"Output", talk_opts,
                                             sizeof(talk_opts) / sizeof(talk_opts[0])};

/* What is said about datagrams means nothing to TCP: whoever says it expects otherwise. */
static int tcp_check(const struct vly_cli *cli, const struct vly_net_args *net)
{
    const char *name = net->io != NULL             ? "--io"
                       : net->cc != NULL           ? "--cc"
                       : net->mss_bytes != 0       ? "--mss"
                       : net->rate_bytes_per_s > 0 ? "--rate"
                                                   : NULL;

    if (net->tcp_cc != NULL && !net->tcp)
        return vly_cli_usage(cli, "--tcp-cc needs --tcp");
    if (net->tcp && !net->udp && name != NULL)
        return vly_cli_usage(cli, "%s is for UDP and does not go with --tcp%s", name,
                             net->cc != NULL ? "; --tcp-cc chooses TCP's congestion control" : "");
    return 0;
}

int vly_net_check(const struct vly_cli *cli, const struct vly_net_args *net)
{
    int code = tcp_check(cli, net);

    if (code != 0)
        return code;
    if (net->cc != NULL && strcmp(net->cc, "fixed") == 0 && net->rate_bytes_per_s == 0)
        return vly_cli_usage(cli, "--cc fixed needs --rate");
    return 0;
}

int vly_net_check_receiver(const struct vly_cli *cli, const struct vly_net_args *net)
{
    bool is_fixed = net->cc != NULL && strcmp(net->cc, "fixed") == 0;

    if (net->rate_bytes_per_s > 0 || is_fixed)
        return vly_cli_usage(cli,
                             "%s limits who sends, which is the server here: give it to "
                             "'volley serve'",
                             net->rate_bytes_per_s > 0 ? "--rate" : "--cc fixed");
    return vly_net_check(cli, net);
}

void vly_net_fill(struct vly_transport_options *out, const struct vly_net_args *net)
{
    *out = (struct vly_transport_options){
        .size = sizeof(*out),
        .plain = net->plain,
        .cc = net->cc,
        .io = net->io,
        .rate_bytes_per_s = net->rate_bytes_per_s,
        .max_datagram_bytes = (uint32_t)net->mss_bytes,
        .window_bytes = net->window_bytes,
        .timeout_ns = net->timeout_ns,
        .carrier = net->tcp && !net->udp ? VLY_CARRIER_TCP : VLY_CARRIER_UDP,
        .tcp_cc = net->tcp_cc,
    };
}
