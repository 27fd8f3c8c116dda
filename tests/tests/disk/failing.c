/* For tests, by LD_PRELOAD: writes to the files whose names hold DISK_FAULT_NAME fail as the file DISK_FAULT says
   ("ENOSPC" or "EIO"), for as long as it is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd) {
    const char *control = getenv("DISK_FAULT"), *name = getenv("DISK_FAULT_NAME");
    char link[64], path[4096], fault[16] = {0};
    if (!control || !name) return 0;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t read_now = read(file, fault, sizeof fault - 1);
    close(file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (read_now <= 0 || length <= 0) return 0;
    path[length] = 0;
    if (!strstr(path, name)) return 0;
    errno = strncmp(fault, "ENOSPC", 6) == 0 ? ENOSPC : EIO;
    return 1;
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *octets, size_t count) {
    REAL(write);
    return fails(fd) ? -1 : real(fd, octets, count);
}
ssize_t pwrite(int fd, const void *octets, size_t count, off_t at) {
    REAL(pwrite);
    return fails(fd) ? -1 : real(fd, octets, count, at);
}
ssize_t pwrite64(int fd, const void *octets, size_t count, off64_t at) {
    REAL(pwrite64);
    return fails(fd) ? -1 : real(fd, octets, count, at);
}
int fsync(int fd) {
    REAL(fsync);
    return fails(fd) ? -1 : real(fd);
}
int fdatasync(int fd) {
    REAL(fdatasync);
    return fails(fd) ? -1 : real(fd);
}
int ftruncate64(int fd, off64_t length) {
    REAL(ftruncate64);
    return fails(fd) ? -1 : real(fd, length);
}
