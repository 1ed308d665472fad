/* Loaded before the C library of a process (LD_PRELOAD), this writes down what the process does to the files of one
 * folder, in the order in which it does it: each call is made and noted under one lock. SQLite and Rust's standard
 * library both reach the kernel through these functions. Lines that the process says on its standard output are noted
 * between them, so that it is known what it had told its caller when.
 *
 * ATOMR_RECORD is the file that is written, ATOMR_RECORD_FOLDER the folder, ATOMR_RECORD_BOOT a file that is read in the
 * place of the machine's boot id: whoever looks at what was recorded lives after the machine was started anew.
 * ATOMR_FAIL is the count of a write, cut or flush that fails, ATOMR_FAIL_LAST that of the last one that does, and
 * ATOMR_FAIL_WITH the number of the error; with 0 a write is done by half.
 *
 * A note is a line, `letter number number name`, and after W and M as many bytes as the second number says:
 *   C made, U removed, W written at, T cut or grown to, S flushed (a file), D flushed (the folder), M said. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define NAME 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int out = -1;
static char folder[NAME];
static const char *boot;
static long fail_first = -1, fail_last = -1, calls = 0;
static int fail_with = 0;

__attribute__((constructor)) static void begin(void) {
    const char *record = getenv("ATOMR_RECORD"), *where = getenv("ATOMR_RECORD_FOLDER");
    boot = getenv("ATOMR_RECORD_BOOT");
    if (!record || !where) return;
    const char *first = getenv("ATOMR_FAIL"), *last = getenv("ATOMR_FAIL_LAST"), *with = getenv("ATOMR_FAIL_WITH");
    if (first) fail_first = fail_last = atol(first);
    if (last) fail_last = atol(last);
    if (with) fail_with = atoi(with);
    snprintf(folder, sizeof folder, "%s", where);
    out = (int)syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        long done = syscall(SYS_write, out, at, length);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) abort(); /* a record with a hole proves nothing */
        at += done;
        length -= (size_t)done;
    }
}

static void note(char what, unsigned long long first, unsigned long long second, const char *name, const void *bytes) {
    char line[NAME + 64];
    int saved = errno;
    put(line, (size_t)snprintf(line, sizeof line, "%c %llu %llu %s\n", what, first, second, name));
    if (bytes) put(bytes, (size_t)second);
    errno = saved;
}

/* The name of a path in the folder; nothing for others, and for what SQLite builds anew after a restart. */
static const char *inside(const char *path) {
    size_t length = strlen(folder), whole = strlen(path);
    if (out < 0 || whole <= length || strncmp(path, folder, length) != 0 || path[length] != '/') return NULL;
    if (whole > 4 && strcmp(path + whole - 4, "-shm") == 0) return NULL;
    return path + length + 1;
}

static const char *path_of(int fd, char *into) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, into, NAME - 1);
    if (length <= 0) return NULL;
    into[length] = 0;
    return into;
}

static const char *name_of(int fd, char *into) {
    int saved = errno;
    const char *path = out < 0 ? NULL : path_of(fd, into);
    errno = saved;
    return path ? inside(path) : NULL;
}

/* Whether this call on a file of the folder fails. */
static int fails(const char *name) {
    if (!name || fail_first < 0) return 0;
    calls++;
    return calls >= fail_first && calls <= fail_last;
}

static ssize_t written(int fd, const void *bytes, size_t length, off64_t at, int here) {
    char path[NAME];
    pthread_mutex_lock(&lock);
    const char *name = name_of(fd, path);
    if (here && name) at = (off64_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    if (fails(name)) {
        if (fail_with != 0) {
            pthread_mutex_unlock(&lock);
            errno = fail_with;
            return -1;
        }
        length = (length + 1) / 2;
    }
    ssize_t done = here ? syscall(SYS_write, fd, bytes, length) : syscall(SYS_pwrite64, fd, bytes, length, at);
    if (done > 0 && name) note('W', (unsigned long long)at, (unsigned long long)done, name, bytes);
    if (done > 0 && fd == 1 && out >= 0) note('M', 0, (unsigned long long)done, "", bytes);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) { return written(fd, bytes, length, 0, 1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return written(fd, bytes, length, at, 0); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return written(fd, bytes, length, at, 0); }

static int cut(int fd, off64_t length) {
    char path[NAME];
    pthread_mutex_lock(&lock);
    const char *name = name_of(fd, path);
    int fail = fails(name) && fail_with != 0;
    int done = fail ? -1 : (int)syscall(SYS_ftruncate, fd, length);
    if (fail) errno = fail_with;
    if (done == 0 && name) note('T', (unsigned long long)length, 0, name, NULL);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

static int flushed(int fd, long call) {
    char path[NAME];
    pthread_mutex_lock(&lock);
    const char *name = name_of(fd, path);
    int fail = fails(name) && fail_with != 0;
    int done = fail ? -1 : (int)syscall(call, fd);
    if (fail) errno = fail_with;
    if (done == 0 && name) note('S', 0, 0, name, NULL);
    if (done == 0 && !name && out >= 0 && path_of(fd, path) && strcmp(path, folder) == 0) note('D', 0, 0, ".", NULL);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd) { return flushed(fd, SYS_fsync); }
int fdatasync(int fd) { return flushed(fd, SYS_fdatasync); }

static int opened(int at, const char *path, int flags, mode_t mode) {
    if (boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) path = boot;
    const char *name = flags & O_CREAT ? inside(path) : NULL;
    pthread_mutex_lock(&lock);
    int made = name && syscall(SYS_faccessat, at, path, F_OK) != 0;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && made) note('C', 0, 0, name, NULL);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags, mode)                      \
    mode_t mode = 0;                           \
    if ((flags) & (O_CREAT | O_TMPFILE)) {     \
        va_list rest;                          \
        va_start(rest, flags);                 \
        mode = (mode_t)va_arg(rest, unsigned); \
        va_end(rest);                          \
    }

int open(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }

static int removed(int at, const char *path, int flags) {
    const char *name = inside(path);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_unlinkat, at, path, flags);
    if (done == 0 && name) note('U', 0, 0, name, NULL);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }
