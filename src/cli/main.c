/*
 * main - volley: the table of its subcommands.
 */
#include "cli/cli.h"
#include "cli/program.h"

static const struct vly_command commands[] = {
    {"serve", vly_cmd_serve, "serve a directory until interrupted"},
    {"put", vly_cmd_put, "upload files and directories"},
    {"get", vly_cmd_get, "download files and directories"},
    {"ls", vly_cmd_ls, "list what a server has"},
    {"keygen", vly_cmd_keygen, "make the key that names you to servers, or show one"},
    {"sim", vly_cmd_sim, "run the protocol over a simulated link, in virtual time"},
    {"bench", vly_cmd_bench, "measure Volley against plain TCP on the same path"},
};

static const struct vly_program volley = {
    .name = "volley",
    .file = "volley",
    .usage = "COMMAND [ARGUMENT...]",
    .about = "Moves files between two machines over UDP, reliably and encrypted.",
    .examples = "  volley serve /srv/data\n"
                "  volley get 192.0.2.1/big.iso --accept-new\n",
    .holds_keys = true,
    .commands = commands,
    .n_commands = sizeof(commands) / sizeof(commands[0]),
};

int main(int argc, char **argv)
{
    return vly_program_main(&volley, argc, argv);
}
