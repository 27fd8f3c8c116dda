/* For tests, by LD_PRELOAD: writes to the SQLite file DISK_FAULT_NAME and its log fail as the file DISK_FAULT says
   ("ENOSPC" or "EIO"), for as long as it is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fails(int fd) {
    const char *control = getenv("DISK_FAULT"), *name = getenv("DISK_FAULT_NAME");
    char path[4096], fault[16] = {0};
    const char *endings[] = {"", "-wal"};
    struct stat written, named;
    if (!control || !name) return 0;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t read_now = read(file, fault, sizeof fault - 1);
    close(file);
    if (read_now <= 0 || fstat(fd, &written) != 0) return 0;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s%s", name, endings[i]);
        if (stat(path, &named) == 0 && named.st_dev == written.st_dev && named.st_ino == written.st_ino) {
            errno = strncmp(fault, "ENOSPC", 6) == 0 ? ENOSPC : EIO;
            return 1;
        }
    }
    return 0;
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
