/* Phones that only talk and listen, for bench/sound.py: each has a socket of its own, sends 50 packets a second, and
 * notes when what it hears comes.
 *
 * Standard input, a line for each phone: "PORT TYPE TICKS FROM FILE": where it sends to on 127.0.0.1, its payload type,
 * timestamp units a packet, and the frame it begins with; FILE has frames, each as two bytes of length (big-endian) and
 * the payload, and "-" says nothing. Then "go WARM WINDOWS". Standard output: the ports of the phones, a line each; then
 * "mark" when WARM seconds are over and at the end of each of WINDOWS seconds after it, and a line of JSON for each.
 *
 * Arrivals are the kernel's timestamps, so that this program's own slowness is not charged to who sends. How late a
 * packet is, is counted from the earliest of its stream: sequence number k is due 20 ms * k after number 0.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 80, SLOT_NS = 250000, FRAME_NS = 20000000, FRAMES = 4096, FILES = 8, HEAD = 12, PACKET = 1500, WINDOWS = 60 };

typedef int64_t ns_t;

typedef struct {
    char name[256];
    int count, size[FRAMES];
    uint8_t *at[FRAMES];
} sound_t;

typedef struct {
    int fd, type, ticks, frame, heard, room, next;
    sound_t *sound;
    uint32_t sequence, timestamp;
    int64_t last; /* the sequence number heard last, beyond 16 bits */
    struct { int64_t sequence; ns_t at; } *arrivals;
} phone_t;

static sound_t sounds[FILES];
static phone_t *phones;
static int phone_count;
static ns_t window_from, window_to;

static void die(const char *what) {
    fprintf(stderr, "phones: %s: %s\n", what, strerror(errno));
    exit(2);
}

static ns_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static sound_t *load_sound(const char *name) {
    int index = 0;
    while (index < FILES && sounds[index].count && strcmp(sounds[index].name, name)) index++;
    if (index == FILES) die("too many sounds");
    sound_t *sound = &sounds[index];
    if (sound->count) return sound;
    FILE *file = fopen(name, "rb");
    if (!file) die(name);
    snprintf(sound->name, sizeof sound->name, "%s", name);
    uint8_t head[2];
    while (sound->count < FRAMES && fread(head, 1, 2, file) == 2) {
        int size = head[0] << 8 | head[1];
        uint8_t *frame = malloc((size_t)size);
        if (size > PACKET - HEAD || fread(frame, 1, (size_t)size, file) != (size_t)size) die(name);
        sound->size[sound->count] = size, sound->at[sound->count++] = frame;
    }
    fclose(file);
    if (!sound->count) die(name);
    return sound;
}

static void phone_open(int port, int type, int ticks, int from, const char *file, int poll) {
    static int room;
    if (phone_count == room) phones = realloc(phones, (size_t)(room = room ? 2 * room : 256) * sizeof *phones);
    phone_t *phone = &phones[phone_count];
    memset(phone, 0, sizeof *phone);
    phone->type = type, phone->ticks = ticks, phone->sequence = (uint32_t)phone_count * 7919u, phone->last = -1;
    phone->sound = strcmp(file, "-") ? load_sound(file) : NULL;
    if (phone->sound) phone->frame = from % phone->sound->count;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, their = own;
    their.sin_port = htons((uint16_t)port);
    socklen_t size = sizeof own;
    int on = 1;
    phone->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (phone->fd < 0 || bind(phone->fd, (struct sockaddr *)&own, sizeof own)
        || connect(phone->fd, (struct sockaddr *)&their, sizeof their)
        || setsockopt(phone->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on)
        || getsockname(phone->fd, (struct sockaddr *)&own, &size))
        die("socket");
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)phone_count};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, phone->fd, &event)) die("epoll");
    phone_count++;
    printf("%d\n", ntohs(own.sin_port));
}

static void talk(phone_t *phone) {
    uint8_t packet[PACKET];
    if (!phone->sound) return;
    int frame = phone->frame++ % phone->sound->count, size = phone->sound->size[frame];
    uint32_t id = (uint32_t)(phone - phones) + 1;
    phone->sequence++, phone->timestamp += (uint32_t)phone->ticks;
    packet[0] = 0x80, packet[1] = (uint8_t)phone->type;
    packet[2] = (uint8_t)(phone->sequence >> 8), packet[3] = (uint8_t)phone->sequence;
    uint32_t words[2] = {htonl(phone->timestamp), htonl(id)};
    memcpy(packet + 4, words, 8);
    memcpy(packet + HEAD, phone->sound->at[frame], (size_t)size);
    send(phone->fd, packet, (size_t)(HEAD + size), 0); /* what does not go is missed by who counts */
}

static void hear(phone_t *phone) {
    for (;;) {
        uint8_t packet[PACKET];
        char control[128];
        struct iovec part = {packet, sizeof packet};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t size = recvmsg(phone->fd, &message, 0);
        if (size < 0 && errno == ECONNREFUSED) continue; /* the endpoint was not open yet */
        if (size < 0) return;
        struct timespec stamp = {0, 0};
        for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each))
            if (each->cmsg_type == SCM_TIMESTAMPNS) memcpy(&stamp, CMSG_DATA(each), sizeof stamp);
        ns_t at = stamp.tv_sec * 1000000000LL + stamp.tv_nsec;
        if (size < HEAD || at < window_from || at >= window_to) continue;
        int sequence = packet[2] << 8 | packet[3];
        if (phone->last < 0) phone->last = 65536 + sequence;
        phone->last += (int16_t)(sequence - phone->last);
        if (phone->heard == phone->room) {
            phone->room = phone->room ? 2 * phone->room : 256;
            phone->arrivals = realloc(phone->arrivals, (size_t)phone->room * sizeof *phone->arrivals);
        }
        phone->arrivals[phone->heard].sequence = phone->last;
        phone->arrivals[phone->heard++].at = at;
    }
}

static int compare(const void *a, const void *b) {
    ns_t x = *(const ns_t *)a, y = *(const ns_t *)b;
    return (x > y) - (x < y);
}

/* One window; each phone goes on where the window before ended. */
static void report(ns_t until, double cpu_s) {
    long heard = 0, missing = 0, room = 0, due = 50 - 2; /* one less at each edge of the window */
    for (int i = 0; i < phone_count; i++) room += phones[i].heard;
    ns_t *late = calloc((size_t)room + 1, sizeof *late);
    for (int i = 0; i < phone_count; i++) {
        phone_t *phone = &phones[i];
        ns_t base = INT64_MAX;
        int64_t low = INT64_MAX, high = 0;
        int begin = phone->next, end = begin;
        while (end < phone->heard && phone->arrivals[end].at < until) end++;
        phone->next = end;
        for (int k = begin; k < end; k++) {
            ns_t transit = phone->arrivals[k].at - phone->arrivals[k].sequence * FRAME_NS;
            if (transit < base) base = transit;
            if (phone->arrivals[k].sequence < low) low = phone->arrivals[k].sequence;
            if (phone->arrivals[k].sequence > high) high = phone->arrivals[k].sequence;
        }
        for (int k = begin; k < end; k++)
            late[heard++] = phone->arrivals[k].at - phone->arrivals[k].sequence * FRAME_NS - base;
        long lost = end > begin ? (long)(high - low + 1) - (end - begin) : 0;
        long never = due - (end - begin); /* what was not even sent leaves no gap in the numbers */
        long more = lost > never ? lost : never;
        missing += more > 0 ? more : 0;
    }
    qsort(late, (size_t)heard, sizeof *late, compare);
    printf("{\"heard\": %ld, \"missing\": %ld, \"late_ms\": [%.3f, %.3f, %.3f], \"cpu_s\": %.3f}\n", heard, missing,
           late[heard / 2] / 1e6, late[heard * 99 / 100] / 1e6, late[heard ? heard - 1 : 0] / 1e6, cpu_s);
    free(late);
}

static double own_cpu_s(void) { return now_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9; }

static void run(double warm, int windows, int poll) {
    static struct epoll_event events[1024];
    ns_t start = now_ns(CLOCK_MONOTONIC), shift = now_ns(CLOCK_REALTIME) - start;
    ns_t from = start + (ns_t)(warm * 1e9), next = start;
    window_from = from + shift, window_to = window_from + windows * 1000000000LL;
    double cpu_s[WINDOWS + 1];
    int marks = 0, slot = 0;
    for (;;) {
        ns_t now = now_ns(CLOCK_MONOTONIC);
        if (marks <= windows && now >= from + marks * 1000000000LL) {
            cpu_s[marks++] = own_cpu_s(), puts("mark"), fflush(stdout);
        } else if (marks > windows && now >= from + windows * 1000000000LL + FRAME_NS * 5) /* the last have arrived */
            break;
        for (; next <= now; next += SLOT_NS, slot = (slot + 1) % SLOTS)
            for (int i = slot; i < phone_count; i += SLOTS) talk(&phones[i]);
        int count;
        while ((count = epoll_wait(poll, events, 1024, 0)) > 0) {
            for (int i = 0; i < count; i++) hear(&phones[events[i].data.u32]);
            if (now_ns(CLOCK_MONOTONIC) >= next) break;
        }
        struct timespec until = {next / 1000000000LL, next % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    for (int i = 0; i < windows; i++) report(window_from + (i + 1) * 1000000000LL, cpu_s[i + 1] - cpu_s[i]);
}

int main(void) {
    char line[512], file[256];
    int port, type, ticks, from, windows;
    double warm;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int poll = epoll_create1(0);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "go %lf %d", &warm, &windows) == 2 && windows <= WINDOWS) {
            run(warm, windows, poll);
            return 0;
        }
        if (sscanf(line, "%d %d %d %d %255s", &port, &type, &ticks, &from, file) != 5) die("a line that is none");
        phone_open(port, type, ticks, from, file, poll);
        fflush(stdout);
    }
    return 1;
}
