/* The telephones of the benchmarks: registers accounts, places calls between them, and talks.
 *
 *     load server=127.0.0.1:5060 domain=pbx.bench first=10000 accounts=100 ...   (see read_options)
 *
 * Callers are the first half of the accounts on one UDP socket, callees the second half on another. A call is INVITE,
 * 401 or 407, ACK, INVITE with the answer to that challenge, 180, 200, ACK, talk, BYE, 200 (RFC 3261, RFC 7616
 * with MD5). With audio each side sends its G.711 packets every 20 ms on a socket of its own, exactly 50 a second as
 * long as the call is held, each stamped with the time it was sent; the phases of the calls are spread evenly.
 *
 * What is measured begins `warm` seconds after the first call and lasts `seconds`: a line "measure" on standard output
 * marks its beginning, "measured" its end, and one line of JSON tells the result when the last call is over. Arrivals
 * are taken from the kernel's timestamps, so that this program's own delay is not charged to the server.
 * Before calls all accounts are registered, and taken off the server after them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TICK_US = 250, SLOTS = 20000 / TICK_US, PACKET = 172, STAMP_AT = 12, TEXT = 4096 };
enum { T1_MS = 500, T2_MS = 4000 };

typedef int64_t ns_t;

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static ns_t now_ns(void) { /* the clock of the kernel's packet timestamps */
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* ---- MD5 (RFC 1321) and digest (RFC 7616 §3.4) ---- */

static uint32_t md5_table[64];
static const uint8_t md5_shift[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static void md5_prepare(void) { /* T[i] = floor(2^32 * |sin(i + 1)|), the sine by its series: no libm needed */
    for (int i = 0; i < 64; i++) {
        double x = i + 1, turn = 6.283185307179586476925286766559;
        x -= turn * (int)(x / turn);
        double term = x, sum = x;
        for (int k = 1; k < 30; k++) sum += term *= -x * x / (2.0 * k * (2.0 * k + 1));
        md5_table[i] = (uint32_t)((sum < 0 ? -sum : sum) * 4294967296.0);
    }
}

static void md5_block(uint32_t *state, const uint8_t *block) {
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], m[16];
    memcpy(m, block, 64);
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int g;
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), g = i; break;
        case 1: f = (d & b) | (~d & c), g = (5 * i + 1) & 15; break;
        case 2: f = b ^ c ^ d, g = (3 * i + 5) & 15; break;
        default: f = c ^ (b | ~d), g = (7 * i) & 15;
        }
        uint32_t sum = a + f + md5_table[i] + m[g], by = md5_shift[i / 16][i % 4];
        a = d, d = c, c = b, b += sum << by | sum >> (32 - by);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

static void md5_hex(char *hex, const char *format, ...) {
    uint8_t data[1024] = {0};
    va_list arguments;
    va_start(arguments, format);
    size_t size = (size_t)vsnprintf((char *)data, sizeof data - 72, format, arguments);
    va_end(arguments);
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    size_t whole = (size + 8) / 64 * 64 + 64;
    memset(data + size, 0, whole - size);
    data[size] = 0x80;
    uint64_t bits = size * 8;
    memcpy(data + whole - 8, &bits, 8);
    for (size_t at = 0; at < whole; at += 64) md5_block(state, data + at);
    for (int i = 0; i < 16; i++) sprintf(hex + 2 * i, "%02x", ((uint8_t *)state)[i]);
}

/* ---- options ---- */

static struct {
    const char *host, *domain, *agent;
    int port, first, accounts, calls_at_once, audio, registers, callee_port;
    double rate, seconds, warm, hold, timeout, lifetime;
    const char *mode; /* register | registrations | calls */
} option = {"127.0.0.1", "pbx.bench", "load", 5060, 10000, 100, 0, 0, 1, 0, 50, 10, 2, 1, 8, 3600, "calls"};

static void read_options(int count, char **words) {
    for (int i = 1; i < count; i++) {
        char *value = strchr(words[i], '=');
        if (!value) errno = EINVAL, die(words[i]);
        *value++ = 0;
        const char *key = words[i];
        if (!strcmp(key, "server")) {
            char *colon = strchr(value, ':');
            *colon = 0, option.host = value, option.port = atoi(colon + 1);
        } else if (!strcmp(key, "domain")) option.domain = value;
        else if (!strcmp(key, "agent")) option.agent = value; /* what the phones call themselves */
        else if (!strcmp(key, "mode")) option.mode = value;
        else if (!strcmp(key, "first")) option.first = atoi(value); /* the accounts are first, first + 1, ... */
        else if (!strcmp(key, "accounts")) option.accounts = atoi(value);
        else if (!strcmp(key, "concurrent")) option.calls_at_once = atoi(value); /* stop placing calls after so many */
        else if (!strcmp(key, "audio")) option.audio = atoi(value);
        else if (!strcmp(key, "register")) option.registers = atoi(value); /* 0: the server sends calls to callee_port */
        else if (!strcmp(key, "callee_port")) option.callee_port = atoi(value);
        else if (!strcmp(key, "rate")) option.rate = atof(value); /* session attempts (or registrations) a second */
        else if (!strcmp(key, "seconds")) option.seconds = atof(value);
        else if (!strcmp(key, "warm")) option.warm = atof(value);
        else if (!strcmp(key, "hold")) option.hold = atof(value);
        else if (!strcmp(key, "timeout")) option.timeout = atof(value); /* establishment threshold (RFC 7501 §3.3) */
        else if (!strcmp(key, "lifetime")) option.lifetime = atof(value); /* Expires of the registrations */
        else errno = EINVAL, die(key);
    }
}

/* ---- state ---- */

typedef struct { /* one side's audio of one call */
    int fd, slot, left, tick; /* left: packets still to send */
    uint16_t sequence;
    uint32_t ssrc, timestamp;
    int64_t last_transit_us;
    double jitter_us; /* RFC 3550 §6.4.1, in microseconds instead of timestamp ticks */
    int next; /* in its slot's list; -1 ends it */
    int heard, heard_in_window;
} stream_t;

enum { FREE, CHALLENGED, INVITED, TALKING, LEAVING, ANSWERED, CONFIRMED, REGISTERING };

typedef struct {
    ns_t began;
    int state, account, peer, cseq, measured, repeated, tries, generation, chain, is_unrelayed;
    ns_t sent, due, due_again; /* due: the state's own deadline; due_again: the next retransmission */
    int interval_ms;
    char *text; /* what is retransmitted */
    int size;
    char call_id[128], remote_uri[160], *routes, to_tag[100];
    struct sockaddr_in rtp;
    stream_t stream;
} leg_t;

static int legs_size;
static leg_t *legs;
static int *free_legs, free_count;
static struct sockaddr_in server;
static int sip_fd[2], sip_port[2]; /* callers' and callees' */
static int poll_fd, timer_fd;
static int heads[SLOTS];
static char (*ha1)[33], realm_of_ha1[128];
static ns_t *own_time; /* of the callee, by pair of accounts */
static ns_t window_from, window_to, last_bad;
static uint32_t run_id;
static int active, placed;

static struct {
    long attempts, completed, failed, rejected, timeouts, retransmissions, stray;
    long packets_sent, packets_received, wrong;
    long statuses[700];
} total;

static double *setup_ms, *own_ms, *jitter_us_list;
static long setup_count, jitter_count, setup_room = 2000000, unmatched;
enum { BUCKETS = 100000 }; /* of 10 us */
static long *delays;

/* ---- due times: a binary heap of (time, leg, generation), stale ones are skipped ---- */

typedef struct { ns_t at; int leg, generation; } due_t;
static due_t *heap;
static int heap_size, heap_room;

static void heap_push(ns_t at, int leg) {
    if (heap_size == heap_room) {
        heap_room = heap_room ? heap_room * 2 : 4096;
        heap = realloc(heap, (size_t)heap_room * sizeof *heap);
    }
    int i = heap_size++;
    for (; i && heap[(i - 1) / 2].at > at; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = (due_t){at, leg, legs[leg].generation};
}

static due_t heap_pop(void) {
    due_t top = heap[0], last = heap[--heap_size];
    int i = 0;
    for (int child; (child = 2 * i + 1) < heap_size; i = child) {
        if (child + 1 < heap_size && heap[child + 1].at < heap[child].at) child++;
        if (heap[child].at >= last.at) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

/* ---- legs ---- */

static int leg_open(int state, int account) {
    if (!free_count) errno = ENOSPC, die("too many calls at once");
    int index = free_legs[--free_count];
    leg_t *leg = &legs[index];
    int generation = leg->generation + 1;
    memset(leg, 0, sizeof *leg);
    leg->generation = generation, leg->state = state, leg->account = account, leg->peer = -1, leg->chain = -1;
    leg->stream.fd = -1;
    return index;
}

static void stream_close(stream_t *stream) {
    if (stream->fd < 0) return;
    close(stream->fd);
    stream->fd = -1;
}

enum { CHAINS = 1 << 16 };
static int chains[CHAINS];

static unsigned hash(const char *text) {
    unsigned h = 2166136261u;
    while (*text) h = (h ^ (uint8_t)*text++) * 16777619u;
    return h % CHAINS;
}

static void leg_close(int index) {
    leg_t *leg = &legs[index];
    stream_t *stream = &leg->stream;
    if (stream->fd >= 0 && stream->tick) { /* out of its slot's list */
        int *link = &heads[stream->slot];
        while (*link >= 0 && *link != index) link = &legs[*link].stream.next;
        if (*link == index) *link = stream->next;
    }
    if (stream->heard > 1 && stream->heard_in_window) jitter_us_list[jitter_count++ % setup_room] = stream->jitter_us;
    stream_close(stream);
    if (leg->state == ANSWERED || leg->state == CONFIRMED) {
        int *link = &chains[hash(leg->call_id)];
        while (*link >= 0 && *link != index) link = &legs[*link].chain;
        if (*link == index) *link = leg->chain;
    }
    free(leg->text), free(leg->routes);
    leg->text = leg->routes = NULL;
    leg->state = FREE, leg->generation++;
    free_legs[free_count++] = index;
}

/* ---- text of SIP messages ---- */

static const char *header(const char *text, const char *name, int *size) { /* the first one; full names only */
    size_t length = strlen(name);
    for (const char *line = strstr(text, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':') {
            const char *value = line + 3 + length;
            while (*value == ' ') value++;
            *size = (int)(strstr(value, "\r\n") - value);
            return value;
        }
    *size = 0;
    return NULL;
}

static void copy_header(char *to, size_t room, const char *text, const char *name) {
    int size;
    const char *value = header(text, name, &size);
    snprintf(to, room, "%.*s", value ? size : 0, value ? value : "");
}

/* All header lines of this name, as they are or, renamed, in reverse order (Record-Route -> Route, RFC 3261 §12.1.2). */
static char *all_lines(const char *text, const char *name, const char *renamed) {
    char *out = calloc(1, 2048), line[1024];
    size_t length = strlen(name);
    const char *at = strstr(text, "\r\n");
    for (; at && at[2] != '\r'; at = strstr(at + 2, "\r\n")) {
        if (strncasecmp(at + 2, name, length) || at[2 + length] != ':') continue;
        const char *value = at + 3 + length, *end = strstr(value, "\r\n");
        snprintf(line, sizeof line, "%s:%.*s\r\n", renamed ? renamed : name, (int)(end - value), value);
        if (strlen(out) + strlen(line) + 1 > 2048) errno = ENOSPC, die("headers");
        if (renamed) memmove(out + strlen(line), out, strlen(out) + 1), memcpy(out, line, strlen(line));
        else strcat(out, line);
    }
    return out;
}

static int tag_of(const char *value, const char *prefix) { /* the number behind ;tag=<prefix> */
    char wanted[32];
    snprintf(wanted, sizeof wanted, ";tag=%s", prefix);
    const char *tag = strstr(value, wanted);
    return tag ? atoi(tag + strlen(wanted)) : -1;
}

static void uri_in(char *to, size_t room, const char *value) { /* <uri> of a Contact */
    const char *from = strchr(value, '<'), *end = from ? strchr(from, '>') : NULL;
    if (from && end) snprintf(to, room, "%.*s", (int)(end - from - 1), from + 1);
    else snprintf(to, room, "%.*s", (int)strcspn(value, ";\r"), value);
}

static int user_in(const char *value) { /* the account of sip:USER@..., -1 if it is none of ours */
    const char *at = strstr(value, "sip:");
    int user = at ? atoi(at + 4) - option.first : -1;
    return user >= 0 && user < option.accounts ? user : -1;
}

static int parameter(const char *challenge, int size, const char *name, char *to, size_t room) {
    char wanted[24];
    size_t length = (size_t)snprintf(wanted, sizeof wanted, "%s=", name);
    for (const char *at = challenge; (at = strcasestr(at, wanted)) && at < challenge + size; at++) {
        if (at > challenge && at[-1] != ' ' && at[-1] != ',') continue;
        at += length;
        if (*at == '"') snprintf(to, room, "%.*s", (int)strcspn(at + 1, "\"\r"), at + 1);
        else snprintf(to, room, "%.*s", (int)strcspn(at, ", \r"), at);
        return 1;
    }
    *to = 0;
    return 0;
}

/* The credentials line for the MD5 challenge in a 401 or 407; empty when there is none. */
static void credentials(char *to, size_t room, const char *text, int account, const char *method, const char *uri) {
    char realm[128], nonce[256], algorithm[32], qop[64], opaque[128], ha2[33], answer[33];
    *to = 0;
    for (const char *at = strstr(text, "\r\n"); at && at[2] != '\r'; at = strstr(at + 2, "\r\n")) {
        int proxy = !strncasecmp(at + 2, "Proxy-Authenticate:", 19);
        if (!proxy && strncasecmp(at + 2, "WWW-Authenticate:", 17)) continue;
        int size = (int)(strstr(at + 2, "\r\n") - at);
        if (parameter(at, size, "algorithm", algorithm, sizeof algorithm) && strcasecmp(algorithm, "MD5")) continue;
        parameter(at, size, "realm", realm, sizeof realm);
        parameter(at, size, "nonce", nonce, sizeof nonce);
        int has_opaque = parameter(at, size, "opaque", opaque, sizeof opaque);
        int has_qop = parameter(at, size, "qop", qop, sizeof qop);
        if (strcmp(realm, realm_of_ha1)) {
            strcpy(realm_of_ha1, realm);
            for (int i = 0; i < option.accounts; i++)
                md5_hex(ha1[i], "%d:%s:secret-of-%d", option.first + i, realm, option.first + i);
        }
        md5_hex(ha2, "%s:%s", method, uri);
        if (has_qop) md5_hex(answer, "%s:%s:00000001:5e1f:auth:%s", ha1[account], nonce, ha2);
        else md5_hex(answer, "%s:%s:%s", ha1[account], nonce, ha2);
        snprintf(to, room,
                 "%s: Digest username=\"%d\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", response=\"%s\", algorithm=MD5%s%s%s%s\r\n",
                 proxy ? "Proxy-Authorization" : "Authorization", option.first + account, realm, nonce, uri, answer,
                 has_qop ? ", cnonce=\"5e1f\", qop=auth, nc=00000001" : "", has_opaque ? ", opaque=\"" : "",
                 has_opaque ? opaque : "", has_opaque ? "\"" : "");
        return;
    }
}

static void sip_send(int side, const char *text, int size) {
    if (sendto(sip_fd[side], text, (size_t)size, 0, (struct sockaddr *)&server, sizeof server) < 0 && errno != EAGAIN
        && errno != ECONNREFUSED && errno != ENOBUFS)
        die("sendto");
}

/* Send, and keep it for retransmission until an answer comes (timers A, E, and the 2xx's of RFC 3261 §13.3.1.4). */
static void send_and_keep(int index, int side, const char *text, int size) {
    leg_t *leg = &legs[index];
    free(leg->text);
    leg->text = malloc((size_t)size), leg->size = size;
    memcpy(leg->text, text, (size_t)size);
    leg->sent = now_ns(), leg->interval_ms = T1_MS;
    leg->due_again = leg->sent + T1_MS * 1000000LL;
    heap_push(leg->due_again, index);
    sip_send(side, text, size);
}

static void quiet(leg_t *leg) { leg->due_again = 0; }

static int sdp(char *to, size_t room, int port) {
    return snprintf(to, room,
                    "v=0\r\no=load %u 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                    "m=audio %d RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
                    "a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n", run_id, port);
}

/* ---- audio ---- */

static int stream_open(leg_t *leg, int index) { /* its port */
    if (!option.audio) return 9 + 2 * (index % 5000) + 40000;
    stream_t *stream = &leg->stream;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    int yes = 1;
    stream->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (stream->fd < 0 || bind(stream->fd, (struct sockaddr *)&own, size)) die("audio socket");
    setsockopt(stream->fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
    getsockname(stream->fd, (struct sockaddr *)&own, &size);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 16 + (uint64_t)index};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, stream->fd, &wanted)) die("epoll_ctl");
    stream->ssrc = (uint32_t)random(), stream->sequence = (uint16_t)random(), stream->timestamp = (uint32_t)random();
    return ntohs(own.sin_port);
}

static void read_sdp(leg_t *leg, const char *text) { /* where the other side's audio goes */
    const char *address = strstr(text, "\r\nc=IN IP4 "), *media = strstr(text, "\r\nm=audio ");
    char host[32];
    if (!address || !media) { total.wrong++; return; }
    snprintf(host, sizeof host, "%.*s", (int)strcspn(address + 11, "/\r"), address + 11);
    leg->rtp = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(media + 10))};
    inet_pton(AF_INET, host, &leg->rtp.sin_addr);
    /* The server's ports are below those that the kernel gives us: a call that talks past the server has failed. */
    if (option.audio && ntohs(leg->rtp.sin_port) >= 32768) leg->rtp.sin_port = 0, leg->is_unrelayed = 1;
}

static int slot_now;

static void talk(leg_t *leg, int index) {
    static int spread;
    stream_t *stream = &leg->stream;
    if (stream->fd < 0 || stream->tick || leg->is_unrelayed) return;
    if (connect(stream->fd, (struct sockaddr *)&leg->rtp, sizeof leg->rtp)) die("connect audio");
    /* Streams begin when calls do; a stride coprime to the slots spreads those of a burst over the 20 ms. */
    stream->slot = (slot_now + 1 + (spread = (spread + 37) % SLOTS)) % SLOTS;
    stream->left = (int)(option.hold * 50 + 0.5), stream->tick = 1;
    stream->next = heads[stream->slot], heads[stream->slot] = index;
}

static void audio_slot(int slot) { /* every stream of this slot sends one packet */
    uint8_t packet[PACKET];
    memset(packet, 0xd5, sizeof packet);
    for (int *link = &heads[slot]; *link >= 0;) {
        stream_t *stream = &legs[*link].stream;
        if (!stream->left) {
            *link = stream->next, stream->tick = 0;
            continue;
        }
        stream->left--;
        uint16_t sequence = htons(stream->sequence++);
        uint32_t timestamp = htonl(stream->timestamp), ssrc = htonl(stream->ssrc);
        stream->timestamp += 160;
        packet[0] = 0x80, packet[1] = 8;
        memcpy(packet + 2, &sequence, 2), memcpy(packet + 4, &timestamp, 4), memcpy(packet + 8, &ssrc, 4);
        ns_t now = now_ns();
        memcpy(packet + STAMP_AT, &now, 8);
        if (send(stream->fd, packet, sizeof packet, 0) < 0 && errno != ECONNREFUSED && errno != EAGAIN
            && errno != ENOBUFS && errno != EPERM)
            die("send audio");
        if (now >= window_from && now < window_to) total.packets_sent++;
        link = &stream->next;
    }
}

static ssize_t receive(int fd, void *to, size_t room, ns_t *arrived) {
    char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec part = {to, room};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(fd, &message, 0);
    if (size < 0) return size;
    struct cmsghdr *note = CMSG_FIRSTHDR(&message);
    if (note && note->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec t;
        memcpy(&t, CMSG_DATA(note), sizeof t);
        *arrived = t.tv_sec * 1000000000LL + t.tv_nsec;
    } else *arrived = now_ns();
    return size;
}

static void audio_arrives(int index) {
    leg_t *leg = &legs[index];
    stream_t *stream = &leg->stream;
    uint8_t packet[2048];
    ns_t arrived, sent;
    while (stream->fd >= 0) {
        ssize_t size = receive(stream->fd, packet, sizeof packet, &arrived);
        if (size < 0) return;
        if (size != PACKET || (packet[1] & 127) != 8) { total.wrong++; continue; }
        memcpy(&sent, packet + STAMP_AT, 8);
        ns_t delay = arrived - sent;
        if (delay < 0 || delay > 60000000000LL) { total.wrong++; continue; }
        int64_t transit_us = delay / 1000;
        if (stream->heard++) {
            double difference = (double)(transit_us - stream->last_transit_us);
            stream->jitter_us += ((difference < 0 ? -difference : difference) - stream->jitter_us) / 16;
        }
        stream->last_transit_us = transit_us;
        if (sent >= window_from && sent < window_to) {
            total.packets_received++, stream->heard_in_window = 1;
            delays[transit_us / 10 < BUCKETS ? transit_us / 10 : BUCKETS - 1]++;
        }
    }
}

/* ---- callers ---- */

static void invite(int index, const char *authorization) {
    leg_t *leg = &legs[index];
    char text[TEXT], body[512];
    int port = leg->stream.fd < 0 ? stream_open(leg, index) : 0;
    if (!port) {
        struct sockaddr_in own;
        socklen_t room = sizeof own;
        getsockname(leg->stream.fd, (struct sockaddr *)&own, &room);
        port = ntohs(own.sin_port);
    }
    int length = sdp(body, sizeof body, port);
    int from = option.first + leg->account, to = option.first + leg->peer;
    leg->cseq++;
    int size = snprintf(text, sizeof text,
        "INVITE sip:%d@%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bK%s-%d\r\nMax-Forwards: 70\r\n"
        "From: <sip:%d@%s>;tag=c%d\r\nTo: <sip:%d@%s>\r\nCall-ID: %s\r\nCSeq: %d INVITE\r\n%s"
        "Contact: <sip:%d@127.0.0.1:%d>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nUser-Agent: load\r\n"
        "Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
        to, option.domain, sip_port[0], leg->call_id, leg->cseq, from, option.domain, index, to, option.domain,
        leg->call_id, leg->cseq, authorization, from, sip_port[0], length, body);
    leg->state = *authorization ? INVITED : CHALLENGED;
    own_time[leg->account * option.accounts + leg->peer] = 0;
    send_and_keep(index, 0, text, size);
}

static int in_window(ns_t at) { return at >= window_from && at < window_to; }

static void place_call(ns_t now) {
    static int number;
    int callers = option.accounts > 1 ? option.accounts / 2 : 1, callees = option.accounts - callers;
    if (callees < 1) callees = 1;
    int index = leg_open(CHALLENGED, number % callers);
    leg_t *leg = &legs[index];
    /* Every pair of caller and callee comes up before one comes again. */
    leg->peer = (option.accounts > 1 ? callers : 0) + (number + number / callers) % callees;
    leg->began = now, leg->measured = in_window(now), leg->is_unrelayed = 0;
    snprintf(leg->call_id, sizeof leg->call_id, "%x-%d-%d", run_id, index, number++);
    leg->due = now + (ns_t)(option.timeout * 1e9);
    heap_push(leg->due, index);
    total.attempts += leg->measured;
    active++, placed++;
    invite(index, "");
}

static void finish(int index, int good) {
    leg_t *leg = &legs[index];
    if (leg->is_unrelayed) good = 0; /* a call without its audio is none */
    if (leg->measured) good ? total.completed++ : total.failed++;
    if (leg->measured && (!good || leg->repeated) && leg->began > last_bad) last_bad = leg->began;
    active--;
    leg_close(index);
}

static void ack(int index, const char *text, int status) {
    leg_t *leg = &legs[index];
    char out[TEXT], to[200], branch[160];
    copy_header(to, sizeof to, text, "To");
    int from = option.first + leg->account;
    char target[160];
    if (status < 300) snprintf(target, sizeof target, "%s", leg->remote_uri);
    else snprintf(target, sizeof target, "sip:%d@%s", option.first + leg->peer, option.domain);
    if (status < 300) snprintf(branch, sizeof branch, "%s-a", leg->call_id);
    else snprintf(branch, sizeof branch, "%s-%d", leg->call_id, leg->cseq); /* RFC 3261 §17.1.1.3 */
    int size = snprintf(out, sizeof out,
        "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bK%s\r\n%sMax-Forwards: 70\r\n"
        "From: <sip:%d@%s>;tag=c%d\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d ACK\r\nContent-Length: 0\r\n\r\n",
        target, sip_port[0], branch, status < 300 && leg->routes ? leg->routes : "", from, option.domain, index, to,
        leg->call_id, leg->cseq);
    sip_send(0, out, size);
}

static void bye(int index) {
    leg_t *leg = &legs[index];
    char out[TEXT];
    int from = option.first + leg->account;
    leg->state = LEAVING, leg->cseq++;
    leg->due = now_ns() + (ns_t)(option.timeout * 1e9);
    heap_push(leg->due, index);
    int size = snprintf(out, sizeof out,
        "BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bK%s-b\r\n%sMax-Forwards: 70\r\n"
        "From: <sip:%d@%s>;tag=c%d\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d BYE\r\nContent-Length: 0\r\n\r\n",
        leg->remote_uri, sip_port[0], leg->call_id, leg->routes, from, option.domain, index, leg->to_tag,
        leg->call_id, leg->cseq);
    send_and_keep(index, 0, out, size);
}

static void register_account(int index, const char *authorization) {
    leg_t *leg = &legs[index];
    char out[TEXT];
    int user = option.first + leg->account;
    int side = option.accounts > 1 && leg->account < option.accounts / 2 ? 0 : 1;
    leg->cseq++;
    int size = snprintf(out, sizeof out,
        "REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bK%s-%d\r\nMax-Forwards: 70\r\n"
        "From: <sip:%d@%s>;tag=c%d\r\nTo: <sip:%d@%s>\r\nCall-ID: %s\r\nCSeq: %d REGISTER\r\n%s"
        "Contact: <sip:%d@127.0.0.1:%d>\r\nExpires: %.0f\r\nUser-Agent: %s\r\nContent-Length: 0\r\n\r\n",
        option.domain, sip_port[0], leg->call_id, leg->cseq, user, option.domain, index, user, option.domain, leg->call_id,
        leg->cseq, authorization, user, sip_port[side], option.lifetime, option.agent);
    send_and_keep(index, 0, out, size);
}

static void place_registration(ns_t now, int account) {
    static int number;
    int index = leg_open(REGISTERING, account);
    leg_t *leg = &legs[index];
    leg->began = now, leg->measured = in_window(now), leg->is_unrelayed = 0;
    snprintf(leg->call_id, sizeof leg->call_id, "%x-%d-%d", run_id, index, number++);
    leg->due = now + (ns_t)(option.timeout * 1e9);
    heap_push(leg->due, index);
    total.attempts += leg->measured;
    active++, placed++;
    register_account(index, "");
}

static void answered(int index, const char *text, ns_t arrived) { /* 200 to INVITE */
    leg_t *leg = &legs[index];
    char contact[300];
    copy_header(contact, sizeof contact, text, "Contact");
    uri_in(leg->remote_uri, sizeof leg->remote_uri, contact);
    copy_header(leg->to_tag, sizeof leg->to_tag, text, "To");
    leg->routes = all_lines(text, "Record-Route", "Route");
    read_sdp(leg, text);
    if (leg->measured && setup_count < setup_room) {
        ns_t own = own_time[leg->account * option.accounts + leg->peer];
        if (own <= 0) unmatched++, own = 0;
        own_ms[setup_count] = own / 1e6;
        setup_ms[setup_count++] = (arrived - leg->sent - own) / 1e6;
    }
    quiet(leg);
    ack(index, text, 200);
    leg->state = TALKING;
    /* The callee begins at the ACK: hang up when both have said all, and the last packet has arrived. */
    leg->due = now_ns() + (ns_t)(option.hold * 1e9) + (option.audio ? 200000000 : 0);
    heap_push(leg->due, index);
    talk(leg, index);
}

static void caller_hears(const char *text, ns_t arrived) {
    char from[300], cseq[60], authorization[1024] = "";
    int size;
    copy_header(from, sizeof from, text, "From");
    copy_header(cseq, sizeof cseq, text, "CSeq");
    int index = tag_of(from, "c"), status = atoi(text + 8);
    const char *call_id = header(text, "Call-ID", &size);
    if (strncmp(text, "SIP/2.0 ", 8) || index < 0 || index >= legs_size || legs[index].state == FREE || !call_id
        || strncmp(legs[index].call_id, call_id, (size_t)size)) {
        total.stray++;
        return;
    }
    leg_t *leg = &legs[index];
    int is_invite = strstr(cseq, "INVITE") != NULL;
    if (status < 200) {
        if (is_invite && atoi(cseq) == leg->cseq) quiet(leg); /* timer A stops at a provisional response */
        return;
    }
    if (is_invite && status < 300 && (leg->state == TALKING || leg->state == LEAVING)) {
        total.retransmissions++;
        return;
    }
    if (atoi(cseq) != leg->cseq) { /* an answer to an earlier request, again */
        total.retransmissions++;
        return;
    }
    quiet(leg);
    if (is_invite && status >= 300) ack(index, text, status);
    if (status == 401 || status == 407) {
        char uri[200];
        if (leg->state == REGISTERING) snprintf(uri, sizeof uri, "sip:%s", option.domain);
        else snprintf(uri, sizeof uri, "sip:%d@%s", option.first + leg->peer, option.domain);
        if (leg->tries++ < 2)
            credentials(authorization, sizeof authorization, text, leg->account,
                        leg->state == REGISTERING ? "REGISTER" : "INVITE", uri);
    }
    if (*authorization && leg->state == REGISTERING) register_account(index, authorization);
    else if (*authorization && leg->state == CHALLENGED) invite(index, authorization);
    else if (status >= 300) {
        total.statuses[status % 700]++;
        if (leg->measured && status == 503) total.rejected++;
        finish(index, 0);
    } else if (leg->state == CHALLENGED || leg->state == INVITED) answered(index, text, arrived);
    else {
        if (leg->state == REGISTERING && leg->measured && setup_count < setup_room)
            setup_ms[setup_count++] = (arrived - leg->sent) / 1e6;
        finish(index, 1);
    }
}

/* ---- callees ---- */

static int reply(char *out, size_t room, const char *text, const char *status, const char *to_tag, const char *rest) {
    char from[300], to[300], call_id[160], cseq[60];
    copy_header(from, sizeof from, text, "From"), copy_header(to, sizeof to, text, "To");
    copy_header(call_id, sizeof call_id, text, "Call-ID"), copy_header(cseq, sizeof cseq, text, "CSeq");
    char *vias = all_lines(text, "Via", NULL), *routes = all_lines(text, "Record-Route", NULL);
    int size = snprintf(out, room, "SIP/2.0 %s\r\n%s%sFrom: %s\r\nTo: %s%s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n%s", status,
                        vias, routes, from, to, *to_tag ? ";tag=" : "", to_tag, call_id, cseq, rest);
    free(vias), free(routes);
    return size;
}

static void callee_is_invited(const char *text, ns_t arrived) {
    char out[TEXT], tag[24], rest[1024], body[512], call_id[128], from[300];
    copy_header(call_id, sizeof call_id, text, "Call-ID");
    unsigned chain = hash(call_id);
    for (int i = chains[chain]; i >= 0; i = legs[i].chain)
        if (!strcmp(legs[i].call_id, call_id)) {
            total.retransmissions++;
            if (legs[i].text) sip_send(1, legs[i].text, legs[i].size);
            return;
        }
    int index = leg_open(ANSWERED, 0);
    leg_t *leg = &legs[index];
    strcpy(leg->call_id, call_id);
    leg->chain = chains[chain], chains[chain] = index;
    leg->due = now_ns() + (ns_t)((option.hold + option.timeout * 3) * 1e9); /* never hung up: forget it */
    heap_push(leg->due, index);
    read_sdp(leg, text);
    snprintf(tag, sizeof tag, "e%d", index);
    int user = user_in(text + 7);
    int contact = snprintf(rest, sizeof rest, "Contact: <sip:%d@127.0.0.1:%d>\r\n", option.first + user, sip_port[1]);
    snprintf(rest + contact, sizeof rest - (size_t)contact, "Content-Length: 0\r\n\r\n");
    sip_send(1, out, reply(out, sizeof out, text, "180 Ringing", tag, rest));
    int length = sdp(body, sizeof body, stream_open(leg, index));
    snprintf(rest + contact, sizeof rest - (size_t)contact,
             "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", length, body);
    int size = reply(out, sizeof out, text, "200 OK", tag, rest);
    copy_header(from, sizeof from, text, "From");
    int caller = user_in(from);
    if (caller >= 0 && user >= 0) own_time[caller * option.accounts + user] = now_ns() - arrived;
    send_and_keep(index, 1, out, size);
}

static void callee_hears(const char *text, ns_t arrived) {
    char out[TEXT], to[300];
    if (!strncmp(text, "SIP/2.0", 7)) { /* answers to what the callers' registrations sent from here: none */
        total.stray++;
        return;
    }
    copy_header(to, sizeof to, text, "To");
    int index = tag_of(to, "e");
    if (!strncmp(text, "INVITE ", 7) && index < 0) {
        callee_is_invited(text, arrived);
        return;
    }
    leg_t *leg = index >= 0 && index < legs_size ? &legs[index] : NULL;
    int known = leg && (leg->state == ANSWERED || leg->state == CONFIRMED);
    if (!strncmp(text, "ACK ", 4)) {
        if (!known || leg->state == CONFIRMED) { total.stray++; return; }
        quiet(leg);
        leg->state = CONFIRMED;
        talk(leg, index);
        return;
    }
    const char *status = "200 OK"; /* OPTIONS, BYE (again) */
    if (strncmp(text, "BYE ", 4) && strncmp(text, "OPTIONS ", 8)) status = "501 Not Implemented";
    sip_send(1, out, reply(out, sizeof out, text, status, "", "Content-Length: 0\r\n\r\n"));
    if (!strncmp(text, "BYE ", 4) && known) leg_close(index);
}

static void sip_arrives(int side) {
    char text[65536];
    ns_t arrived;
    for (;;) {
        ssize_t size = receive(sip_fd[side], text, sizeof text - 1, &arrived);
        if (size < 0) return;
        text[size] = 0;
        if (!strstr(text, "\r\n\r\n")) continue; /* a keep-alive */
        if (side == 0 && !strncmp(text, "SIP/2.0", 7)) caller_hears(text, arrived);
        else callee_hears(text, arrived);
    }
}

/* ---- time ---- */

static void expire(ns_t now) {
    while (heap_size && heap[0].at <= now) {
        due_t due = heap_pop();
        leg_t *leg = &legs[due.leg];
        if (leg->generation != due.generation || leg->state == FREE) continue;
        if (leg->due == due.at) {
            if (leg->state == TALKING) bye(due.leg);
            else if (leg->state == ANSWERED || leg->state == CONFIRMED) leg_close(due.leg);
            else {
                if (leg->measured) total.timeouts++;
                finish(due.leg, 0);
            }
        } else if (leg->due_again == due.at && leg->text) {
            int is_callee = leg->state == ANSWERED || leg->state == CONFIRMED, is_invite = !strncmp(leg->text, "INVITE", 6);
            total.retransmissions++, leg->repeated = 1;
            sip_send(is_callee, leg->text, leg->size);
            leg->interval_ms *= 2;
            if (!is_invite && leg->interval_ms > T2_MS) leg->interval_ms = T2_MS;
            leg->due_again = now + leg->interval_ms * 1000000LL;
            heap_push(leg->due_again, due.leg);
        }
    }
}

static void open_socket(int side) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    if (side) own.sin_port = htons((uint16_t)option.callee_port);
    int yes = 1, room = 4 << 20;
    sip_fd[side] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (bind(sip_fd[side], (struct sockaddr *)&own, size)) die("bind");
    setsockopt(sip_fd[side], SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
    setsockopt(sip_fd[side], SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    getsockname(sip_fd[side], (struct sockaddr *)&own, &size);
    sip_port[side] = ntohs(own.sin_port);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = (uint64_t)side};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, sip_fd[side], &wanted)) die("epoll_ctl");
}

static void pump(ns_t until_tick) { /* wait for the next tick, serving whatever arrives */
    struct epoll_event events[512];
    for (;;) {
        int count = epoll_wait(poll_fd, events, 512, 1000), ticked = 0;
        for (int i = 0; i < count; i++) {
            uint64_t id = events[i].data.u64;
            if (id == 2) {
                uint64_t times;
                if (read(timer_fd, &times, sizeof times) > 0) ticked = 1;
            } else if (id < 2) sip_arrives((int)id);
            else audio_arrives((int)(id - 16));
        }
        if (ticked || now_ns() >= until_tick) return;
    }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, long count, double q) {
    if (!count) return 0;
    return values[(long)(q * (double)(count - 1) + 0.5)];
}

static double delay_ms(double q) {
    long want = (long)(q * (double)total.packets_received), seen = 0;
    for (long i = 0; i < BUCKETS; i++)
        if ((seen += delays[i]) > want) return (double)i / 100;
    return 0;
}

static void report(double took) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
                 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    qsort(setup_ms, (size_t)setup_count, sizeof *setup_ms, compare);
    qsort(own_ms, (size_t)setup_count, sizeof *own_ms, compare);
    long jitters = jitter_count < setup_room ? jitter_count : setup_room;
    qsort(jitter_us_list, (size_t)jitters, sizeof *jitter_us_list, compare);
    printf("{\"attempts\": %ld, \"completed\": %ld, \"failed\": %ld, \"rejected\": %ld, \"timeouts\": %ld, \"retransmissions\": %ld, "
           "\"stray\": %ld, \"unmatched\": %ld, \"seconds\": %.3f, \"load_cpu_s\": %.3f, \"load_took_s\": %.3f, ",
           total.attempts, total.completed, total.failed, total.rejected, total.timeouts, total.retransmissions, total.stray,
           unmatched, option.seconds, cpu, took);
    /* When, in the window, the last attempt began that failed or needed a retransmission; -1: none. */
    printf("\"last_bad_s\": %.2f, ", last_bad ? (double)(last_bad - window_from) / 1e9 : -1);
    printf("\"delay_ms\": [%.3f, %.3f, %.3f], \"callee_ms\": [%.3f, %.3f, %.3f], ", quantile(setup_ms, setup_count, .5),
           quantile(setup_ms, setup_count, .95), quantile(setup_ms, setup_count, .99), quantile(own_ms, setup_count, .5),
           quantile(own_ms, setup_count, .95), quantile(own_ms, setup_count, .99));
    printf("\"packets_sent\": %ld, \"packets_received\": %ld, \"packets_wrong\": %ld, \"audio_delay_ms\": [%.2f, %.2f], "
           "\"jitter_ms\": [%.3f, %.3f], \"statuses\": {", total.packets_sent, total.packets_received, total.wrong,
           delay_ms(.5), delay_ms(.99), quantile(jitter_us_list, jitters, .5) / 1000, quantile(jitter_us_list, jitters, .99) / 1000);
    const char *comma = "";
    for (int status = 300; status < 700; status++)
        if (total.statuses[status]) printf("%s\"%d\": %ld", comma, status, total.statuses[status]), comma = ", ";
    printf("}}\n");
}

enum { REGISTER_ALL, REGISTRATIONS, CALLS };
enum { REGISTER_RATE = 200 };

static void run(int what, ns_t tick) {
    ns_t start = now_ns(), next_slot = start;
    int once = what == REGISTER_ALL, announced = once, ended = once;
    int most = once ? option.accounts : option.calls_at_once;
    double rate = once ? REGISTER_RATE : option.rate;
    window_from = start + (ns_t)(option.warm * 1e9), window_to = window_from + (ns_t)(option.seconds * 1e9);
    if (once) window_from = start, window_to = start + 3600 * 1000000000LL;
    placed = 0;
    for (;;) {
        ns_t now = now_ns();
        for (; next_slot <= now; next_slot += TICK_US * 1000LL) /* a late tick sends all that was due */
            if (option.audio) audio_slot(slot_now), slot_now = (slot_now + 1) % SLOTS;
        if (!announced && now >= window_from) announced = 1, puts("measure");
        long want = (long)((double)(now - start) / 1e9 * rate);
        if (most && want > most) want = most;
        while (placed < want && now < window_to)
            what == CALLS ? place_call(now) : place_registration(now, placed % option.accounts);
        expire(now);
        if (!ended && now >= window_to) ended = 1, puts("measured");
        if (ended && !active && (!once || placed >= most)) return;
        pump(now + tick);
    }
}

int main(int count, char **words) {
    read_options(count, words);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
    md5_prepare();
    srandom((unsigned)(now_ns() ^ getpid()));
    run_id = (uint32_t)random() ^ (uint32_t)getpid();
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)option.port)};
    inet_pton(AF_INET, option.host, &server.sin_addr);
    legs_size = (int)(2 * (option.rate * (option.hold + 2 * option.timeout + 2)) + 3 * option.accounts + 1000);
    legs = calloc((size_t)legs_size, sizeof *legs), free_legs = malloc((size_t)legs_size * sizeof *free_legs);
    for (int i = legs_size; i--;) free_legs[free_count++] = i;
    ha1 = calloc((size_t)option.accounts, sizeof *ha1);
    own_time = calloc((size_t)option.accounts * (size_t)option.accounts, sizeof *own_time);
    setup_ms = calloc((size_t)setup_room, sizeof *setup_ms), own_ms = calloc((size_t)setup_room, sizeof *own_ms);
    jitter_us_list = calloc((size_t)setup_room, sizeof *jitter_us_list), delays = calloc(BUCKETS, sizeof *delays);
    for (int i = 0; i < SLOTS; i++) heads[i] = -1;
    for (int i = 0; i < CHAINS; i++) chains[i] = -1;
    poll_fd = epoll_create1(0);
    open_socket(0), open_socket(1);
    ns_t tick = (option.audio ? TICK_US : 1000) * 1000LL;
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec every = {{0, tick}, {0, tick}};
    timerfd_settime(timer_fd, 0, &every, NULL);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = 2};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, timer_fd, &wanted);

    if (!strcmp(option.mode, "calls") && option.registers) {
        run(REGISTER_ALL, tick);
        if (total.failed) errno = EACCES, die("registrations failed");
        memset(&total, 0, sizeof total);
        setup_count = 0;
    }
    ns_t start = now_ns();
    run(!strcmp(option.mode, "calls") ? CALLS : !strcmp(option.mode, "register") ? REGISTER_ALL : REGISTRATIONS, tick);
    report((double)(now_ns() - start) / 1e9);
    if (!strcmp(option.mode, "calls") && option.registers)
        option.lifetime = 0, run(REGISTER_ALL, tick); /* else the next load's calls would ring these phones, too */
    return 0;
}
