#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_cases(const char *file)
{
    const char *root = getenv("VOLLEY_SRC");
    char path[4096];
    FILE *f;

    snprintf(path, sizeof(path), "%s/tests/vectors/%s", root != NULL ? root : ".", file);
    f = fopen(path, "re");
    if (f == NULL)
        fail_msg("%s: cannot be opened", path);
    return f;
}

static bool is_hex(const char *text)
{
    return text[strspn(text, "0123456789abcdef")] == '\0';
}

static char *copy_of(const char *text)
{
    char *copy = strdup(text);

    assert_non_null(copy);
    return copy;
}

/* `line` is "name = value" or "name =". */
static void add_field(struct test_case *c, char *line)
{
    struct test_case_field *field = &c->fields[c->n++];
    char *equals = strstr(line, " =");
    const char *text;

    assert_true(c->n <= TEST_CASE_FIELDS_MAX);
    assert_non_null(equals);
    *equals = '\0';
    text = equals + 2;
    text += *text == ' ';
    field->name = copy_of(line);
    field->text = copy_of(text);
    if (is_hex(text))
        field->bytes = test_hex(text);
}

static void add_line(struct test_cases *cases, char *line)
{
    if (strncmp(line, "case =", 6) == 0) {
        struct test_case *grown = realloc(cases->v, (cases->n + 1) * sizeof(*grown));

        assert_non_null(grown);
        cases->v = grown;
        cases->v[cases->n++] = (struct test_case){.n = 0};
    }
    assert_true(cases->n > 0);
    add_field(&cases->v[cases->n - 1], line);
}

struct test_cases test_cases_load(const char *file)
{
    FILE *f = open_cases(file);
    struct test_cases cases = {NULL, 0};
    char *line = NULL;
    size_t cap = 0;

    while (getline(&line, &cap, f) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#' && line[0] != '\0')
            add_line(&cases, line);
    }
    free(line);
    fclose(f);
    assert_true(cases.n > 0);
    return cases;
}

void test_cases_free(struct test_cases *cases)
{
    for (size_t i = 0; i < cases->n; i++) {
        for (size_t k = 0; k < cases->v[i].n; k++) {
            free(cases->v[i].fields[k].name);
            free(cases->v[i].fields[k].text);
            free(cases->v[i].fields[k].bytes.data);
        }
    }
    free(cases->v);
    *cases = (struct test_cases){NULL, 0};
}

static const struct test_case_field *find(const struct test_case *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->fields[i].name, name) == 0)
            return &c->fields[i];
    return NULL;
}

const char *test_case_text(const struct test_case *c, const char *name)
{
    const struct test_case_field *field = find(c, name);

    return field != NULL ? field->text : NULL;
}

struct vly_span test_case_bytes(const struct test_case *c, const char *name)
{
    const struct test_case_field *field = find(c, name);

    if (field == NULL || !is_hex(field->text))
        fail_msg("%s: no %s in hex", c->fields[0].text, name);
    return (struct vly_span){field->bytes.data, field->bytes.len};
}

const uint8_t *test_case_exactly(const struct test_case *c, const char *name, size_t len)
{
    struct vly_span bytes = test_case_bytes(c, name);

    if (bytes.len != len)
        fail_msg("%s: %s has %zu bytes", c->fields[0].text, name, bytes.len);
    return bytes.data;
}

bool test_case_is(const struct test_case *c, const char *result)
{
    const char *text = test_case_text(c, "result");

    assert_non_null(text);
    return strcmp(text, result) == 0;
}
