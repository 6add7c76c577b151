/*
 * known_hosts: what is added is found, by whoever adds at the same time too; a list that is not
 * understood as a whole is not believed in part.
 */
#include "cli/known_hosts.h"

#include "crypto/keytext.h"
#include "support/tmpdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY0 "volley1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY1 "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

enum { CHILDREN = 8, HOSTS_EACH = 20, HOSTS = (CHILDREN + 1) * HOSTS_EACH / 2 };

static const uint8_t zero[VLY_PUBLIC_KEY_BYTES];

static int find(const struct tmpdir *d, const char *name, unsigned *line)
{
    struct vly_known_host host = {.line = 0};
    struct vly_fault why = {.text = ""};
    int err = vly_known_hosts_find(tmpdir_at(d, "known"), name, &host, &why);

    *line = host.line;
    if (err != 0 && err != VLY_E_NOT_FOUND)
        assert_true(strlen(why.text) > 10 && strchr(why.text, '\n') == NULL);
    return err;
}

static void test_known_hosts_names(void **state)
{
    static const struct {
        const char *typed, *name;
    } cases[] = {
        {"Host/x", "host"},
        {"HOST.Example:7711", "host.example"},
        {"host:7712/x", "host:7712"},
        {"[::1]/x", "[::1]"},
        {"[FE80::1%Lo]:80", "[fe80::1%lo]:80"},
        {"192.0.2.1:65535", "192.0.2.1:65535"},
        {"h\xc3\x84", "h\xc3\x84"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_addr addr;
        const char *why;

        assert_int_equal(vly_addr_parse(cases[i].typed, &addr, &why), 0);
        assert_string_equal(vly_known_hosts_name(&addr).s, cases[i].name);
    }
}

static void test_known_hosts_finds_what_was_added(void **state)
{
    const struct tmpdir *d = *state;
    const char *path = tmpdir_at(d, "home/known");
    struct vly_known_host host;
    struct vly_fault why;
    uint8_t key[VLY_PUBLIC_KEY_BYTES] = {1};

    assert_int_equal(vly_known_hosts_find(path, "a", &host, &why), VLY_E_NOT_FOUND);
    assert_int_equal(vly_known_hosts_add(path, "a", zero, &why), 0);
    assert_int_equal(vly_known_hosts_add(path, "a:1", key, &why), 0);
    assert_int_equal(vly_known_hosts_add(path, "a", zero, &why), 0); /* again: nothing happens */
    tmpdir_assert_content(d, "home/known",
                          "a " KEY0 "\n"
                          "a:1 volley1:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    assert_int_equal(tmpdir_stat(d, "home/known").st_mode & 0777, 0600);
    assert_int_equal(tmpdir_stat(d, "home").st_mode & 0777, 0700);
    assert_int_equal(vly_known_hosts_find(path, "a:1", &host, &why), 0);
    assert_memory_equal(host.key, key, sizeof(key));
    assert_int_equal(host.line, 2);
    assert_int_equal(vly_known_hosts_find(path, "a:2", &host, &why), VLY_E_NOT_FOUND);
    assert_int_equal(vly_known_hosts_find(path, "A", &host, &why), VLY_E_NOT_FOUND);
}

/* Somebody else was told of another key while the user was thinking. */
static void test_known_hosts_adds_no_second_key(void **state)
{
    const struct tmpdir *d = *state;
    uint8_t key[VLY_PUBLIC_KEY_BYTES] = {1};
    struct vly_fault why;

    tmpdir_write(d, "known", "# one\na " KEY0 "\n", strlen("# one\na " KEY0 "\n"));
    assert_int_equal(vly_known_hosts_add(tmpdir_at(d, "known"), "a", key, &why),
                     VLY_E_HOST_CHANGED);
    assert_non_null(strstr(why.text, "known:2"));
    tmpdir_assert_content(d, "known", "# one\na " KEY0 "\n");
}

static void test_known_hosts_lines(void **state)
{
    const struct tmpdir *d = *state;
    static const struct {
        const char *text;
        int err;
        unsigned line;
    } cases[] = {
        {"", VLY_E_NOT_FOUND, 0},
        {"a " KEY0, 0, 1},
        {"a " KEY0 "\r\n", 0, 1},
        {"\n# b\n  \t\n\ta\t " KEY0 " \t\n", 0, 4},
        {"a " KEY0 "\na " KEY1 "\n", 0, 1}, /* the first counts */
        {"b " KEY1 "\n", VLY_E_NOT_FOUND, 0},
        {"aa " KEY1 "\n", VLY_E_NOT_FOUND, 0},
        {"a:7711 " KEY1 "\n", VLY_E_NOT_FOUND, 0}, /* how it is written is how it is looked for */
        {"a\n", VLY_E_MALFORMED, 0},
        {"a volley1:AAAA\n", VLY_E_MALFORMED, 0},
        {"a " KEY0 " comment\n", VLY_E_MALFORMED, 0},
        {"a " KEY0 "\nb\n", VLY_E_MALFORMED, 0}, /* also behind what is looked for */
        {"b x\na " KEY0 "\n", VLY_E_MALFORMED, 0},
        {"a\v" KEY0 "\n", VLY_E_MALFORMED, 0},
        {"a " KEY0 "\rb\n", VLY_E_MALFORMED, 0},
        {"\x1b[2J a " KEY0 "\n", VLY_E_MALFORMED, 0},
        {"b\x1b " KEY0 "\n", VLY_E_MALFORMED, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned line;

        print_message("  case %zu\n", i);
        tmpdir_write(d, "known", cases[i].text, strlen(cases[i].text));
        assert_int_equal(find(d, "a", &line), cases[i].err);
        if (cases[i].err == 0)
            assert_int_equal(line, cases[i].line);
    }
}

static void test_known_hosts_bounds(void **state)
{
    const struct tmpdir *d = *state;
    enum { HUGE = (1 << 20) + 1 };
    char *text = malloc(HUGE);
    unsigned line;

    assert_non_null(text);
    memset(text, '#', HUGE);
    tmpdir_write(d, "known", text, HUGE); /* one byte too large */
    assert_int_equal(find(d, "a", &line), VLY_E_LIMIT);
    tmpdir_write(d, "known", text, HUGE - 1); /* then a line too long */
    assert_int_equal(find(d, "a", &line), VLY_E_MALFORMED);
    for (size_t i = 4096; i < HUGE; i += 4096)
        text[i] = '\n';
    tmpdir_write(d, "known", text, HUGE - 1);
    assert_int_equal(find(d, "a", &line), VLY_E_NOT_FOUND);
    tmpdir_write(d, "known", "a\0 " KEY0 "\n", strlen(KEY0) + 4);
    assert_int_equal(find(d, "a", &line), VLY_E_MALFORMED);
    free(text);
}

static void test_known_hosts_others_could_change(void **state)
{
    const struct tmpdir *d = *state;
    unsigned line;

    tmpdir_write(d, "known", "a " KEY0 "\n", strlen("a " KEY0 "\n"));
    for (unsigned mode = 0400; mode <= 0777; mode++) {
        assert_int_equal(chmod(tmpdir_at(d, "known"), mode), 0);
        if ((mode & 0400) != 0)
            assert_int_equal(find(d, "a", &line), (mode & 022) == 0 ? 0 : VLY_E_PERMISSION);
    }
}

/* A file without a newline at its end, and names that would be another line or another word. */
static void test_known_hosts_stays_well_formed(void **state)
{
    const struct tmpdir *d = *state;
    static const char *const names[] = {"", "a b", "a\tb", "a\nb", "#a", "a\x7f"};
    struct vly_fault why;

    tmpdir_write(d, "known", "a " KEY0, strlen("a " KEY0));
    assert_int_equal(vly_known_hosts_add(tmpdir_at(d, "known"), "b", zero, &why), 0);
    tmpdir_assert_content(d, "known", "a " KEY0 "\nb " KEY0 "\n");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(vly_known_hosts_add(tmpdir_at(d, "known"), names[i], zero, &why),
                         VLY_E_BAD_NAME);
    tmpdir_assert_content(d, "known", "a " KEY0 "\nb " KEY0 "\n");
    /* To a list that is not understood nothing is added. */
    tmpdir_write(d, "known", "nonsense\n", 9);
    assert_int_equal(vly_known_hosts_add(tmpdir_at(d, "known"), "b", zero, &why), VLY_E_MALFORMED);
    tmpdir_assert_content(d, "known", "nonsense\n");
}

/* A child's part: hosts of which its neighbours add a half each as well. */
static void add_some(const struct tmpdir *d, unsigned child, int gate)
{
    char name[32];

    (void)!read(gate, name, 1); /* until the parent closes its end: all begin at once */
    for (unsigned i = 0; i < HOSTS_EACH; i++) {
        struct vly_fault why;

        snprintf(name, sizeof(name), "host%u", child * HOSTS_EACH / 2 + i);
        if (vly_known_hosts_add(tmpdir_at(d, "known"), name, zero, &why) != 0)
            _exit(1);
    }
    _exit(0);
}

/* Each host gets one line, though most are added twice. */
static void test_known_hosts_added_by_many_at_once(void **state)
{
    const struct tmpdir *d = *state;
    pid_t children[CHILDREN];
    size_t len, lines = 0;
    int gate[2];
    char *text;

    assert_int_equal(pipe(gate), 0);
    for (unsigned i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            close(gate[1]);
            add_some(d, i, gate[0]);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (unsigned i = 0; i < CHILDREN; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (unsigned i = 0; i < HOSTS; i++) {
        char name[32];
        unsigned line;

        snprintf(name, sizeof(name), "host%u", i);
        assert_int_equal(find(d, name, &line), 0);
    }
    text = tmpdir_read(d, "known", &len);
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    assert_int_equal(lines, HOSTS);
    free(text);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_hosts_names),
        IN_DIR(test_known_hosts_finds_what_was_added),
        IN_DIR(test_known_hosts_adds_no_second_key),
        IN_DIR(test_known_hosts_lines),
        IN_DIR(test_known_hosts_bounds),
        IN_DIR(test_known_hosts_others_could_change),
        IN_DIR(test_known_hosts_stays_well_formed),
        IN_DIR(test_known_hosts_added_by_many_at_once),
    };

    return cmocka_run_group_tests_name("known_hosts", tests, NULL, NULL);
}
