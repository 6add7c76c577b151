/*
 * authorized - authorized_keys: who may do what on a server, and where.
 *
 * What is not understood is refused: a misspelt option must not give a key more than was meant.
 */
#include "cli/authorized.h"

#include "crypto/keytext.h"
#include "file/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROW 16

static int rights_parse(const char *text, unsigned *rights)
{
    static const struct {
        const char *text;
        unsigned rights;
    } words[] = {{"read", VLY_RIGHT_READ},
                 {"write", VLY_RIGHT_WRITE},
                 {"read,write", VLY_RIGHT_READ | VLY_RIGHT_WRITE},
                 {"write,read", VLY_RIGHT_READ | VLY_RIGHT_WRITE}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i].text) == 0) {
            *rights = words[i].rights;
            return 0;
        }
    }
    return VLY_E_MALFORMED;
}

/* What one line says; `root` is a part of it. */
struct entry {
    struct vly_grant grant;
    bool comment;
};

static int option_parse(const struct vly_lines *l, char *word, struct entry *e,
                        struct vly_fault *why)
{
    char *value = strchr(word, '=');

    if (value == NULL) {
        e->comment = true;
        return 0;
    }
    *value++ = '\0';
    if (strcmp(word, "root") == 0 && *value != '\0' && e->grant.root == NULL) {
        e->grant.root = value;
        return 0;
    }
    if (strcmp(word, "rights") == 0 && e->grant.rights == 0 &&
        rights_parse(value, &e->grant.rights) == 0)
        return 0;
    return vly_lines_refuse(l, why,
                            "an option is root=DIR, or rights= and read, write or read,write; "
                            "each once");
}

static int entry_parse(const struct vly_lines *l, char *line, struct entry *e,
                       struct vly_fault *why)
{
    char *word = vly_line_word(&line);
    int err = 0;

    *e = (struct entry){.grant.root = NULL};
    if (word == NULL || vly_public_key_parse(word, e->grant.key) != 0)
        return vly_lines_refuse(l, why,
                                "a line begins with a key: volley1: and 44 characters of base64");
    while (err == 0 && !e->comment && (word = vly_line_word(&line)) != NULL)
        err = option_parse(l, word, e, why);
    if (e->grant.rights == 0)
        e->grant.rights = VLY_RIGHT_READ | VLY_RIGHT_WRITE;
    return err;
}

static char *root_path(const char *base, const char *root)
{
    return root[0] == '/' ? strdup(root) : vly_path_join(base, root);
}

static bool has_key(const struct vly_authorized *a, const uint8_t *key)
{
    for (size_t i = 0; i < a->n; i++)
        if (memcmp(a->grants[i].key, key, VLY_PUBLIC_KEY_BYTES) == 0)
            return true;
    return false;
}

/* Keeps a copy of the grant. */
static int keep(struct vly_authorized *a, const struct vly_grant *grant, const char *base)
{
    char *root = NULL;

    if (a->n % GROW == 0) {
        struct vly_grant *more = realloc(a->grants, (a->n + GROW) * sizeof(*more));
        if (more == NULL)
            return VLY_E_NOMEM;
        a->grants = more;
    }
    if (grant->root != NULL && (root = root_path(base, grant->root)) == NULL)
        return VLY_E_NOMEM;
    a->grants[a->n] = *grant;
    a->grants[a->n++].root = root;
    return 0;
}

int vly_authorized_parse(struct vly_authorized *a, struct vly_lines *l, const char *base,
                         struct vly_fault *why)
{
    struct entry e;
    char *line;
    int err;

    *a = (struct vly_authorized){0};
    while ((err = vly_lines_next(l, &line, why)) == 0) {
        err = entry_parse(l, line, &e, why);
        if (err == 0 && has_key(a, e.grant.key))
            err = vly_lines_refuse(l, why, "this key stands on a line above already");
        else if (err == 0 && (err = keep(a, &e.grant, base)) != 0)
            vly_fault_plain(why, err);
        if (err != 0)
            break;
    }
    if (err == VLY_E_NOT_FOUND) /* the end */
        return 0;
    vly_authorized_free(a);
    return err;
}

int vly_authorized_read(struct vly_authorized *a, const char *path, const char *base,
                        struct vly_fault *why)
{
    struct vly_lines l;
    int err = vly_lines_open(&l, path, why);

    *a = (struct vly_authorized){0};
    if (err != 0)
        return err;
    err = vly_authorized_parse(a, &l, base, why);
    vly_lines_close(&l);
    return err;
}

void vly_authorized_free(struct vly_authorized *a)
{
    for (size_t i = 0; i < a->n; i++)
        free((void *)a->grants[i].root);
    free(a->grants);
    *a = (struct vly_authorized){0};
}
