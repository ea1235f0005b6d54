/* Compressed files of every kind, whole, in several streams, cut off, damaged, too greedy. */
#include "tests/unit/engine/support.h"

#include "engine/reader.h"
#include "engine/unpack.h"
#include "engine/unpack_kind.h"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

/* ---- making them ---- */

struct blob {
    unsigned char *data;
    size_t size;
};

/* Blobs live until the tests have ended. */
static void *blobs[1000];
static size_t blobs_count;

static struct blob blob_new(size_t room)
{
    struct blob b = {calloc(1, room), 0};
    assert_non_null(b.data);
    assert_true(blobs_count < sizeof blobs / sizeof blobs[0]);
    blobs[blobs_count++] = b.data;
    return b;
}

static int tear_down(void **state)
{
    while (blobs_count > 0) free(blobs[--blobs_count]);
    return remove_folder(state);
}

static struct blob joined(struct blob a, struct blob b)
{
    struct blob all = blob_new(a.size + b.size + 1);
    memcpy(all.data, a.data, a.size);
    memcpy(all.data + a.size, b.data, b.size);
    all.size = a.size + b.size;
    return all;
}

static struct blob pack_gzip(const char *text, size_t size)
{
    struct blob b = blob_new(size + 1000);
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (unsigned)size;
    z.next_out = b.data;
    z.avail_out = (unsigned)size + 1000;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    b.size = z.total_out;
    deflateEnd(&z);
    return b;
}

static struct blob pack_zstd(const char *text, size_t size)
{
    struct blob b = blob_new(ZSTD_compressBound(size));
    b.size = ZSTD_compress(b.data, ZSTD_compressBound(size), text, size, 3);
    return b;
}

static struct blob pack_bzip2(const char *text, size_t size)
{
    unsigned room = (unsigned)size + 1000;
    struct blob b = blob_new(room);
    assert_int_equal(BZ2_bzBuffToBuffCompress((char *)b.data, &room, (char *)(uintptr_t)text,
                                              (unsigned)size, 9, 0, 0),
                     BZ_OK);
    b.size = room;
    return b;
}

static struct blob pack_xz(const char *text, size_t size)
{
    struct blob b = blob_new(size + 1000);
    assert_int_equal(lzma_easy_buffer_encode(3, LZMA_CHECK_CRC64, NULL, (const uint8_t *)text, size,
                                             b.data, &b.size, size + 1000),
                     LZMA_OK);
    return b;
}

static const struct {
    const char *name;
    struct blob (*pack)(const char *text, size_t size);
} kinds[] = {{"gzip", pack_gzip}, {"zstd", pack_zstd}, {"bzip2", pack_bzip2}, {"xz", pack_xz}};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- reading them ---- */

/* Read a file in pieces of `step` bytes; the text is the caller's. */
static int read_file(const char *path, size_t step, char **text, size_t *size)
{
    struct reader *r;
    *size = 0;
    *text = malloc(1);
    int result = reader_open(path, &r);
    if (result != ERR_OK) return result;
    for (size_t got = 1; result == ERR_OK && got > 0; *size += got) {
        *text = realloc(*text, *size + step);
        result = reader_read(r, *text + *size, step, &got);
    }
    reader_close(r);
    return result;
}

static void expect_file(const char *path, const char *expected, size_t expected_size)
{
    static const size_t steps[] = {7, 4096, 1 << 20};
    for (size_t i = 0; i < 3; i++) {
        char *text;
        size_t size;
        int result = read_file(path, steps[i], &text, &size);
        if (result != ERR_OK) print_error("%s\n", err_text());
        assert_int_equal(result, ERR_OK);
        assert_int_equal(size, expected_size);
        assert_memory_equal(text, expected, size);
        free(text);
    }
}

static void expect_error(const char *path, int code, const char *says)
{
    char *text;
    size_t size;
    int result = read_file(path, 4096, &text, &size);
    free(text);
    if (result != code || !strstr(err_text(), says))
        print_error("%s gave %d: %s\n", path, result, result ? err_text() : "");
    assert_int_equal(result, code);
    assert_non_null(strstr(err_text(), says));
    assert_non_null(strstr(err_text(), path));
}

static void expect_blob(struct blob b, const char *expected, size_t size)
{
    expect_file(write_file("packed", b.data, b.size), expected, size);
}

/* ---- tests ---- */

static void each_kind_is_told_by_its_bytes(void **state)
{
    (void)state;
    char *text = make_text(3, 40000);
    for (int k = 0; k < KINDS; k++) {
        struct blob b = kinds[k].pack(text, strlen(text)), empty = kinds[k].pack("", 0);
        assert_string_equal(unpack_find(b.data, b.size)->name, kinds[k].name);
        assert_string_equal(unpack_find(empty.data, empty.size)->name, kinds[k].name);
        expect_blob(b, text, strlen(text));
        expect_blob(empty, "", 0);
    }
    free(text);
    expect_file(write_text("plain", "BZh is no bzip2"), "BZh is no bzip2", 15);
    expect_file(write_text("plain", ""), "", 0);
}

static void several_streams_are_read_as_one(void **state)
{
    (void)state;
    for (int k = 0; k < KINDS; k++) {
        struct blob a = kinds[k].pack("one ", 4), empty = kinds[k].pack("", 0),
                    b = kinds[k].pack("two", 3), zeros = blob_new(512);
        zeros.size = 512;
        struct blob ab = joined(a, b), aeb = joined(joined(a, empty), b), padded = joined(a, zeros),
                    spaced = joined(padded, b);
        expect_blob(ab, "one two", 7);
        expect_blob(aeb, "one two", 7);
        expect_blob(padded, "one ", 4); /* a tape's block, a tar's end */
        expect_blob(spaced, "one two", 7);
    }
}

static void damage_is_an_error_that_names_the_file(void **state)
{
    (void)state;
    char *text = make_text(5, 20000);
    for (int k = 0; k < KINDS; k++) {
        struct blob b = kinds[k].pack(text, strlen(text)), two = joined(b, b);
        static const size_t cuts[] = {1, 5, 9, 1000};
        for (size_t i = 0; i < 4; i++)
            expect_error(write_file("cut", b.data, b.size - cuts[i]), ERR_FORMAT, "HINT");
        expect_error(write_file("cut", two.data, two.size - 9), ERR_FORMAT, "HINT");
        expect_error(write_file("cut", two.data, b.size + 6), ERR_FORMAT, "HINT");
        expect_error(write_file("cut", two.data, b.size + 2), ERR_FORMAT, "HINT");
        b.data[b.size / 2] ^= 0x55;
        expect_error(write_file("flipped", b.data, b.size), ERR_FORMAT, kinds[k].name);
        struct blob behind = joined((struct blob){two.data, b.size},
                                    (struct blob){(unsigned char *)(uintptr_t) "more text", 9});
        expect_error(write_file("behind", behind.data, behind.size), ERR_FORMAT, "behind the");
    }
    free(text);
}

/* A frame of zstd with a window of 2^(10 + exponent) bytes that holds "text\n". */
static struct blob windowed(int exponent)
{
    static const unsigned char block[] = {0x29, 0, 0, 't', 'e', 'x', 't', '\n'};
    struct blob b = blob_new(64);
    memcpy(b.data, "\x28\xb5\x2f\xfd\x00", 5);
    b.data[5] = (unsigned char)(exponent << 3);
    memcpy(b.data + 6, block, sizeof block);
    b.size = 6 + sizeof block;
    return b;
}

static void zstd_begins_with_skippable_frames_too(void **state)
{
    (void)state;
    static const unsigned char skippable[] = {0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'};
    struct blob skip = {(unsigned char *)(uintptr_t)skippable, sizeof skippable};
    struct blob one = pack_zstd("one ", 4), two = pack_zstd("two", 3);
    expect_blob(joined(skip, one), "one ", 4);
    expect_blob(joined(joined(skip, joined(skip, one)), joined(skip, joined(two, skip))), "one two",
                7);
    expect_blob(skip, "", 0);
    expect_error(write_file("cut", skippable, sizeof skippable - 1), ERR_FORMAT, "early");
    struct blob lz4 =
        joined(skip, (struct blob){(unsigned char *)(uintptr_t) "\x04\x22\x4d\x18more of it", 14});
    expect_error(write_file("lz4", lz4.data, lz4.size), ERR_FORMAT, "zstd");
}

static void zstd_has_long_windows(void **state)
{
    (void)state;
    expect_blob(windowed(27 - 10), "text\n", 5);
    expect_blob(windowed(30 - 10), "text\n", 5);
    struct blob b = windowed(32 - 10);
    expect_error(write_file("long", b.data, b.size), ERR_LIMIT, "a window of 4096 MiB");
    b = windowed(41 - 10);
    expect_error(write_file("long", b.data, b.size), ERR_LIMIT, "HINT");
}

/* Give all of a blob to an unpacker with a bound. */
static int unpack_bounded(struct blob b, uint64_t bound)
{
    struct unpack *u;
    unsigned char out[4096];
    size_t in_size = b.size, out_size = sizeof out;
    assert_int_equal(unpack_open(unpack_find(b.data, b.size), bound, &u), ERR_OK);
    int result = unpack_step(u, "the file", b.data, &in_size, 1, out, &out_size);
    unpack_close(u);
    return result;
}

static void memory_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(unpack_bounded(windowed(26 - 10), 64 << 20), ERR_OK);
    assert_int_equal(unpack_bounded(windowed(27 - 10), 64 << 20), ERR_LIMIT);
    assert_non_null(strstr(err_text(), "128 MiB, and at most 64 MiB"));
    struct blob b = pack_xz("text", 4);
    assert_int_equal(unpack_bounded(b, 64 << 20), ERR_OK);
    assert_int_equal(unpack_bounded(b, 1 << 20), ERR_LIMIT);
    assert_non_null(strstr(err_text(), "the file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_told_by_its_bytes),
        cmocka_unit_test(several_streams_are_read_as_one),
        cmocka_unit_test(damage_is_an_error_that_names_the_file),
        cmocka_unit_test(zstd_begins_with_skippable_frames_too),
        cmocka_unit_test(zstd_has_long_windows),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, make_folder, tear_down);
}
