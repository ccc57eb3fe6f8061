/* Keeps a journal of what a process writes into its database, and when it flushed.

   Preloaded into the running system (LD_PRELOAD). Each record is a kind, a file,
   an offset, a length and the bytes; a flush is recorded once it has returned. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE = 2, FLUSH = 3 };

struct __attribute__((packed)) record {
    uint8_t kind, file;
    uint64_t offset;
    uint32_t length;
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;

static int file_of(int fd) {
    static const char *const names[] = {"/backstop.db", "/backstop.db-wal"};
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return -1;
    path[length] = 0;
    for (int n = 0; n < 2; n++) {
        size_t end = strlen(names[n]);
        if ((size_t)length > end && !strcmp(path + length - end, names[n])) return n;
    }
    return -1;
}

static void note(int kind, int fd, uint64_t offset, const void *bytes, size_t length) {
    int file = file_of(fd);
    if (file < 0) return;
    struct record head = {kind, file, offset, length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)bytes, bytes ? length : 0}};
    pthread_mutex_lock(&turn);
    if (journal < 0)
        journal = open(getenv("POWER_JOURNAL"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (writev(journal, parts, 2) < 0) abort();
    pthread_mutex_unlock(&turn);
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) { \
        REAL(name); \
        ssize_t done = real(fd, bytes, length, offset); \
        if (done > 0) note(WRITE, fd, offset, bytes, done); \
        return done; \
    }

#define FTRUNCATE(name, offset_type) \
    int name(int fd, offset_type size) { \
        REAL(name); \
        int failed = real(fd, size); \
        if (!failed) note(TRUNCATE, fd, size, NULL, 0); \
        return failed; \
    }

#define FLUSHES(name) \
    int name(int fd) { \
        REAL(name); \
        int failed = real(fd); \
        if (!failed) note(FLUSH, fd, 0, NULL, 0); \
        return failed; \
    }

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)
FLUSHES(fdatasync)
FLUSHES(fsync)
