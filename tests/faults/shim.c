/* Stands between a program and the files under one folder: writes down what is done to them, and lets an operation fail.
 *
 * Preloaded, and inert until `arm` is called. Then the operations of one kind are counted; the `nth`, or from the `nth`
 * on every operation of any kind, fails with `error`. A write that fails has written its first half. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE, SYNC, RENAME, UNLINK, MKDIR, LINK, TRUNCATE };

static char root[4096];
static int journal = -1, counted, forever, failing, failure;
static long nth, count;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

void arm(const char *folder, const char *file, int kind, long number, int persistent, int error) {
    snprintf(root, sizeof root, "%s", folder);
    counted = kind, nth = number, forever = persistent, failure = error;
    journal = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

static char *within(char *path) {
    size_t size = strlen(root);
    return strncmp(path, root, size) == 0 && (path[size] == '/' || path[size] == 0) ? path : NULL;
}

/* The path of a name, or of a descriptor without one, if it is the folder's or of what is in it. */
static char *place(int at, const char *name, char *path) {
    int saved = errno;
    char link[64];
    path[0] = 0;
    if (journal < 0) return NULL;
    if (name == NULL || (name[0] != '/' && at != AT_FDCWD)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, path, 4095);
        path[n < 0 ? 0 : n] = 0;
    } else if (name[0] != '/' && getcwd(path, 4095) == NULL)
        path[0] = 0;
    if (name != NULL) {
        size_t used = name[0] == '/' ? 0 : strlen(path);
        snprintf(path + used, 4096 - used, used ? "/%s" : "%s", name);
    }
    errno = saved;
    return within(path);
}

static int fails(int kind) {
    if (kind == counted && ++count == nth) {
        failing = forever;
        return 1;
    }
    return failing;
}

static void note(int kind, int failed, long at, long length, const char *path, const char *other, const void *data) {
    int saved = errno;
    long head[6] = {kind, failed, at, length, (long)strlen(path), other ? (long)strlen(other) : 0};
    struct iovec parts[4] = {{head, sizeof head}, {(void *)path, head[4]}, {(void *)other, head[5]},
                             {(void *)data, data ? length : 0}};
    if (syscall(SYS_writev, journal, parts, 4) < 0) abort();
    errno = saved;
}

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)
#define LOCK pthread_mutex_lock(&turn)
#define UNLOCK pthread_mutex_unlock(&turn)

/* An operation without data: fails in its turn, and is written down if it was done. */
#define DONE(kind, at, path, other, call) do { \
        LOCK; \
        int result = -1, failed = fails(kind); \
        if (failed) errno = failure; else result = (call); \
        if (failed || result >= 0) note(kind, failed, at, 0, path, other, NULL); \
        UNLOCK; \
        return result; \
    } while (0)

static int opened(int (*real)(int, const char *, int, ...), int at, const char *name, int flags, mode_t mode) {
    char path[4096];
    if (place(at, name, path) == NULL) return real(at, name, flags, mode);
    DONE(OPEN, flags, path, NULL, real(at, name, flags, mode));
}

#define OPENER(function, given, at, ...) int function(__VA_ARGS__) { \
        REAL(int, "openat64", int, const char *, int, ...); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | __O_TMPFILE)) { \
            va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); \
        } \
        return opened(real, at, name, flags, mode); \
    }
OPENER(open, name, AT_FDCWD, const char *name, int flags, ...)
OPENER(open64, name, AT_FDCWD, const char *name, int flags, ...)
OPENER(openat, name, folder, int folder, const char *name, int flags, ...)
OPENER(openat64, name, folder, int folder, const char *name, int flags, ...)

static ssize_t written(ssize_t (*real)(int, const void *, size_t, off64_t), int fd, const void *data, size_t size,
                       off64_t at, const char *path) {
    LOCK;
    int failed = fails(WRITE);
    ssize_t result = real(fd, data, failed ? size / 2 : size, at);
    if (result >= 0) note(WRITE, failed, at, result, path, NULL, data);
    if (failed) result = -1, errno = failure;
    UNLOCK;
    return result;
}

static ssize_t append(int fd, const void *data, size_t size, off64_t at) {
    return syscall(SYS_write, fd, data, size) + 0 * at;
}

static off64_t position(int fd) {
    return lseek64(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    char path[4096];
    if (place(fd, NULL, path) == NULL) return real(fd, data, size);
    return written(append, fd, data, size, position(fd), path);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    char path[4096];
    if (place(fd, NULL, path) == NULL) return real(fd, data, size, at);
    return written(real, fd, data, size, at, path);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t writev(int fd, const struct iovec *parts, int number) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    char path[4096];
    if (place(fd, NULL, path) == NULL) return real(fd, parts, number);
    return number > 0 ? write(fd, parts[0].iov_base, parts[0].iov_len) : 0; /* a short write, as any may be */
}

ssize_t sendfile64(int out, int in, off64_t *from, size_t size) {
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    char path[4096], data[65536];
    if (place(out, NULL, path) == NULL) return real(out, in, from, size);
    ssize_t got = pread64(in, data, size < sizeof data ? size : sizeof data, from ? *from : position(in));
    if (got <= 0) return got;
    ssize_t result = write(out, data, got);
    if (result > 0 && from) *from += result;
    if (result > 0 && !from) lseek64(in, result, SEEK_CUR);
    return result;
}

ssize_t sendfile(int out, int in, off_t *from, size_t size) { return sendfile64(out, in, from, size); }

ssize_t copy_file_range(int in, off64_t *a, int out, off64_t *b, size_t size, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    char path[4096];
    if (place(out, NULL, path) == NULL) return real(in, a, out, b, size, flags);
    errno = ENOSYS;
    return -1;
}

#define SYNCER(function) int function(int fd) { \
        REAL(int, #function, int); \
        char path[4096]; \
        if (place(fd, NULL, path) == NULL) return real(fd); \
        DONE(SYNC, 0, path, NULL, real(fd)); \
    }
SYNCER(fsync)
SYNCER(fdatasync)

#define TRUNCATER(function) int function(int fd, off64_t size) { \
        REAL(int, #function, int, off64_t); \
        char path[4096]; \
        if (place(fd, NULL, path) == NULL) return real(fd, size); \
        DONE(TRUNCATE, size, path, NULL, real(fd, size)); \
    }
TRUNCATER(ftruncate)
TRUNCATER(ftruncate64)

int fallocate64(int fd, int mode, off64_t at, off64_t size) { /* SQLite and others do without it */
    REAL(int, "fallocate64", int, int, off64_t, off64_t);
    char path[4096];
    if (place(fd, NULL, path) == NULL) return real(fd, mode, at, size);
    errno = EOPNOTSUPP;
    return -1;
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    REAL(int, "posix_fallocate64", int, off64_t, off64_t);
    char path[4096];
    return place(fd, NULL, path) == NULL ? real(fd, at, size) : EOPNOTSUPP;
}

static int moved(int kind, int a, const char *from, int b, const char *to, int flags) {
    char one[4096], other[4096];
    long call = kind == LINK ? SYS_linkat : SYS_renameat2;
    if (place(b, to, other) == NULL) return syscall(call, a, from, b, to, flags);
    place(a, from, one);
    DONE(kind, 0, one, other, syscall(call, a, from, b, to, flags));
}

int rename(const char *from, const char *to) { return moved(RENAME, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return moved(RENAME, a, from, b, to, 0); }
int link(const char *from, const char *to) { return moved(LINK, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) { return moved(LINK, a, from, b, to, flags); }

int unlinkat(int at, const char *name, int flags) {
    char path[4096];
    if (place(at, name, path) == NULL) return syscall(SYS_unlinkat, at, name, flags);
    DONE(UNLINK, 0, path, NULL, syscall(SYS_unlinkat, at, name, flags));
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int at, const char *name, mode_t mode) {
    char path[4096];
    if (place(at, name, path) == NULL) return syscall(SYS_mkdirat, at, name, mode);
    DONE(MKDIR, 0, path, NULL, syscall(SYS_mkdirat, at, name, mode));
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
