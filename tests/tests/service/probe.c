/* Tries what a captured room might, each attempt in a process of its own, and prints a line for each: NAME ok, or NAME and what
 * refused it. Linked statically, for it is the only program that the room may execute. `probe listen ADDRESS PORT` is somebody to be reached. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *outside = "10.9.9.9";
static int port = 9801, loopback_port = 9800;

static int opens(const char *path) { return open(path, O_RDONLY); }
static int writes(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd >= 0) unlink(path);
    return fd;
}
static int lane(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd < 0 ? fd : connect(fd, (void *)&to, sizeof to);
}
static int inet(const char *address, int to_port, int kind) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(to_port)};
    inet_pton(AF_INET, address, &to.sin_addr);
    int fd = socket(AF_INET, kind, 0);
    struct timeval patience = {2, 0};
    if (fd < 0) return fd;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (void *)&to, sizeof to)) return -1;
    return kind == SOCK_DGRAM && write(fd, "x", 1) != 1 ? -1 : 0;
}

static int exec_true(void) { return execl("/bin/true", "true", NULL); }
static int read_pin(void) { return opens("/etc/signing-agent/token-pin"); }
static int read_state(void) { return opens("/var/lib/signing-agent/ledger.sqlite"); }
static int read_token(void) {
    DIR *dir = opendir("/var/lib/signing-agent-softhsm");
    return dir ? 0 : -1;
}
static int read_shadow(void) { return opens("/etc/shadow"); }
static int write_etc(void) { return writes("/etc/probe"); }
static int write_usr(void) { return writes("/usr/probe"); }
static int write_var(void) { return writes("/var/lib/probe"); }
static int write_run(void) { return writes("/run/probe"); }
static int write_home(void) { return writes("/root/probe"); }
static int lane_api(void) { return lane("/run/signing-agent/api.sock"); }
static int lane_courier(void) { return lane("/run/signing-agent/courier.sock"); }
static int lane_admin(void) { return lane("/run/signing-agent/admin.sock"); }
static int manager(void) { return lane("/run/systemd/private"); }
static int tcp_outside(void) { return inet(outside, port, SOCK_STREAM); }
static int udp_outside(void) { return inet(outside, port, SOCK_DGRAM); }
static int tcp_loopback(void) { return inet("127.0.0.1", loopback_port, SOCK_STREAM); }
static int netlink(void) { return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE); }
static int packet(void) { return socket(AF_PACKET, SOCK_RAW, 0); }
static int user_namespace(void) { return unshare(CLONE_NEWUSER); }
static int mounts(void) {
    int done = mount("tmpfs", "/mnt", "tmpfs", 0, NULL);
    return done ? done : umount("/mnt");
}
static int map_write_exec(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}
static int traced(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL); }
static int other_personality(void) { return personality(PER_LINUX32); }
static int setuid_file(void) {
    int fd = open("/tmp/probe-file", O_WRONLY | O_CREAT, 0600), done = fchmod(fd, 04700);
    unlink("/tmp/probe-file");
    return fd < 0 ? fd : done;
}
static int realtime(void) { return sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}); }
static int host_name(void) {
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    return sethostname(name, strlen(name));
}
static int kill_others(void) { return kill(1, 0); }
static int see_others(void) {
    DIR *dir = opendir("/proc");
    for (struct dirent *each; dir && (each = readdir(dir));) {
        int pid = atoi(each->d_name);
        if (pid && pid != getpid() && pid != getppid()) return 0;
    }
    errno = ENOENT;
    return -1;
}
static int core_file(void) { return setrlimit(RLIMIT_CORE, &(struct rlimit){4096, 4096}); }

static const struct { const char *name; int (*attempt)(void); } attempts[] = {
    {"exec", exec_true}, {"read-pin", read_pin}, {"read-state", read_state}, {"read-token", read_token}, {"read-shadow", read_shadow},
    {"write-etc", write_etc}, {"write-usr", write_usr}, {"write-var", write_var}, {"write-run", write_run}, {"write-home", write_home},
    {"lane-api", lane_api}, {"lane-courier", lane_courier}, {"lane-admin", lane_admin}, {"manager", manager},
    {"tcp-outside", tcp_outside}, {"udp-outside", udp_outside}, {"tcp-loopback", tcp_loopback}, {"netlink", netlink}, {"packet", packet},
    {"user-namespace", user_namespace}, {"mount", mounts}, {"map-write-exec", map_write_exec}, {"traced", traced},
    {"personality", other_personality}, {"setuid-file", setuid_file}, {"realtime", realtime}, {"host-name", host_name},
    {"kill-others", kill_others}, {"see-others", see_others}, {"core-file", core_file},
};

static int listens(const char *address, int at) {
    struct sockaddr_in on = {.sin_family = AF_INET, .sin_port = htons(at)};
    inet_pton(AF_INET, address, &on.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (void *)&on, sizeof on) || listen(fd, 64)) return perror("listen"), 1;
    puts("listening");
    fflush(stdout);
    for (;;) close(accept(fd, NULL, NULL));
}

/* How many seccomp filters hold this process: the unit's; and which Landlock the kernel offers. */
static void facts(void) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "Seccomp_filters:", 16)) printf("filters %d\n", atoi(line + 16));
    printf("landlock %ld\n", syscall(SYS_landlock_create_ruleset, NULL, 0, 1));
}

int main(int count, char **words) {
    if (count == 4 && !strcmp(words[1], "listen")) return listens(words[2], atoi(words[3]));
    facts();
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child < 0) return perror("fork"), 1;
        if (!child) {
            errno = 0;
            int got = attempts[i].attempt();
            _exit(got >= 0 ? 0 : errno ? errno : 255);
        }
        int end;
        waitpid(child, &end, 0);
        if (WIFSIGNALED(end)) printf("%s %s\n", attempts[i].name, WTERMSIG(end) == SIGSYS ? "SIGSYS" : strsignal(WTERMSIG(end)));
        else printf("%s %s\n", attempts[i].name, WEXITSTATUS(end) ? strerrorname_np(WEXITSTATUS(end)) : "ok");
    }
    return 0;
}
