/* A load generator: keep-alive connections over epoll, one thread, each with one request after the
 * other. It tells one line of JSON: how many, how long to the first byte and to the last, and how
 * late the events of streams came by the stamps that `upstream` puts into them. Times are in µs.
 *
 * load PORT TARGET [-c CONNECTIONS] [-d SECONDS] [-n REQUESTS] [-b BODY_BYTES] [-k KEY] [-p PAUSE_US]
 *      [-H] [-u] [-r]
 *
 * -p: a client waits between two requests. -H: each connection sends one request, and "held" is
 * told when all have their first byte; then they are kept open until standard input ends. -u: each
 * request names a model and a session of its own. -r: each has a connection of its own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { IN_SIZE = 256 * 1024, HEAD_SIZE = 8 * 1024 };

struct conn {
    int fd, begun, in_head, chunked, status;
    char head[HEAD_SIZE], tail[8];
    size_t head_len, body_left, out_at;
    long started, resume_at;
};

struct samples {
    unsigned *at;
    size_t n, cap;
};

static int epoll_fd, port, n_conns = 1, hold, unique, reconnect;
static long limit = -1, pause_ns, asked, answered, errors, events, bytes, begun;
static double seconds = 1e9;
static char *request, *numbers[2];
static size_t request_len;
static struct samples first, whole, delays;
static struct conn *conns;

static long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* Samples, in tenths of a µs. */

static void note(struct samples *s, long ns)
{
    if (s->n == s->cap)
        s->at = realloc(s->at, (s->cap = s->cap * 2 + 4096) * sizeof *s->at);
    s->at[s->n++] = (unsigned)((ns < 0 ? 0 : ns) / 100);
}

static int by_value(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return x < y ? -1 : x > y;
}

static void tell(const char *name, struct samples *s)
{
    qsort(s->at, s->n, sizeof *s->at, by_value);
    static const struct { const char *name; double part; } points[] = {
        {"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    for (size_t i = 0; i < 4 && s->n; i++) {
        size_t at = (size_t)(points[i].part * (double)s->n);
        printf(",\"%s_%s\":%.1f", name, points[i].name, s->at[at < s->n ? at : s->n - 1] / 10.0);
    }
}

/* Requests. */

static void make_request(const char *target, const char *key, size_t body_len)
{
    static const char start[] = "{\"model\":\"claude-sonnet-00000000\",\"max_tokens\":1024,\"messages\":"
                                "[{\"role\":\"user\",\"content\":\"";
    const char *end = strstr(target, "events=") || strstr(target, "hold=")
                          ? "\"}],\"stream\":true}" : "\"}],\"stream\":false}";
    size_t least = sizeof start - 1 + strlen(end);
    body_len = body_len < least ? least : body_len;
    request = malloc(body_len + 4096);
    int head = sprintf(request,
        "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: application/json\r\n"
        "user-agent: anthropic-sdk-python/0.75.0\r\nanthropic-version: 2023-06-01\r\n"
        "content-type: application/json\r\nx-api-key: %s\r\nx-stainless-lang: python\r\n"
        "x-stainless-os: Linux\r\nx-stainless-retry-count: 0\r\nx-stainless-timeout: 600\r\n"
        "accept-encoding: identity\r\n%scontent-length: %zu\r\n\r\n",
        target, port, key, unique ? "x-claude-code-session-id: 00000000\r\n" : "", body_len);
    char *at = request + head;
    memcpy(at, start, sizeof start - 1);
    memset(at + sizeof start - 1, 'x', body_len - least);
    memcpy(at + body_len - strlen(end), end, strlen(end));
    request_len = (size_t)head + body_len;
    numbers[0] = strstr(request + head, "-00000000") + 1;
    numbers[1] = unique ? strstr(request, "session-id: ") + strlen("session-id: ") : NULL;
    if (!unique)
        memcpy(numbers[0] - 1, "-4-5-2025", 9);
}

static void listen_for(struct conn *c, unsigned what)
{
    struct epoll_event e = {what, {.ptr = c}};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void open_conn(struct conn *c)
{
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&there, sizeof there)) {
        perror("load: connect");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event e = {EPOLLIN, {.ptr = c}};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void push(struct conn *c)
{
    while (c->out_at < request_len) {
        ssize_t n = send(c->fd, request + c->out_at, request_len - c->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) { /* an answer or the end may be there to be read */
            listen_for(c, EPOLLIN | (errno == EAGAIN ? EPOLLOUT : 0));
            return;
        }
        c->out_at += (size_t)n;
    }
    if (request_len > 64 * 1024)
        listen_for(c, EPOLLIN);
}

static void ask(struct conn *c)
{
    if (limit >= 0 && asked >= limit)
        return;
    asked++;
    c->started = now_ns();
    c->head_len = c->out_at = 0;
    c->begun = 0;
    c->in_head = 1;
    if (unique)
        for (int i = 0; i < 2; i++) {
            char digits[16];
            sprintf(digits, "%08u", (unsigned)(asked % 100000000));
            memcpy(numbers[i], digits, 8);
        }
    push(c);
}

static void reopen(struct conn *c)
{
    errors++;
    close(c->fd);
    open_conn(c);
    if (!hold)
        ask(c);
}

static void done(struct conn *c, long now)
{
    note(&whole, now - c->started);
    answered++;
    if (c->status != 200)
        errors++;
    if (reconnect) {
        close(c->fd);
        open_conn(c);
    }
    if (pause_ns)
        c->resume_at = now + pause_ns;
    else
        ask(c);
}

/* Answers. */

static void find_stamps(const char *data, size_t n, long now)
{
    const char *end = data + n, *at = data;
    while ((at = memchr(at, '@', (size_t)(end - at)))) {
        events++;
        if (end - ++at >= 19)
            note(&delays, now - strtol(at, NULL, 10));
    }
}

/* Chunks are not counted: the end of the answer is told by its last seven bytes. */
static int chunks_ended(struct conn *c, const char *data, size_t n)
{
    size_t keep = n < 7 ? n : 7;
    memmove(c->tail, c->tail + keep, 7 - keep);
    memcpy(c->tail + 7 - keep, data + n - keep, keep);
    return memcmp(c->tail, "\r\n0\r\n\r\n", 7) == 0;
}

static size_t take_head(struct conn *c, const char *data, size_t n)
{
    size_t room = HEAD_SIZE - 1 - c->head_len, part = n < room ? n : room;
    memcpy(c->head + c->head_len, data, part);
    char *end = memmem(c->head, c->head_len + part, "\r\n\r\n", 4);
    if (!end) {
        c->head_len += part;
        return part;
    }
    size_t used = (size_t)(end + 4 - c->head) - c->head_len;
    end[2] = 0;
    c->in_head = 0;
    c->status = atoi(c->head + 9);
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->chunked = !length;
    c->body_left = length ? strtoul(length + 17, NULL, 10) : 1;
    memcpy(c->tail, "       ", 7);
    return used;
}

static void take(struct conn *c, const char *data, size_t n, long now)
{
    if (!c->begun) {
        c->begun = 1;
        begun++;
        note(&first, now - c->started);
    }
    if (c->in_head) {
        size_t used = take_head(c, data, n);
        data += used, n -= used;
    }
    if (c->in_head || !n)
        return;
    bytes += (long)n;
    if (!c->chunked) {
        c->body_left -= n < c->body_left ? n : c->body_left;
    } else {
        find_stamps(data, n, now);
        if (chunks_ended(c, data, n))
            c->body_left = 0;
    }
    if (!c->body_left)
        done(c, now);
}

static void readable(struct conn *c)
{
    static char in[IN_SIZE];
    ssize_t n = recv(c->fd, in, sizeof in, MSG_DONTWAIT);
    if (n > 0)
        take(c, in, (size_t)n, now_ns());
    else if (n == 0 || errno != EAGAIN)
        reopen(c);
}

static void resume(long now)
{
    for (int i = 0; i < n_conns; i++)
        if (conns[i].resume_at && conns[i].resume_at <= now) {
            conns[i].resume_at = 0;
            ask(&conns[i]);
        }
}

static void hold_on(void)
{
    char nothing;
    printf("held\n");
    fflush(stdout);
    while (read(0, &nothing, 1) > 0)
        ;
}

static void run(void)
{
    struct epoll_event ready[256];
    long end = now_ns() + (long)(seconds * 1e9);
    while (now_ns() < end && (limit < 0 || answered < limit)) {
        int n = epoll_wait(epoll_fd, ready, 256, pause_ns ? 1 : 50);
        for (int i = 0; i < n; i++) {
            struct conn *c = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT)
                push(c);
            if (ready[i].events & ~(unsigned)EPOLLOUT)
                readable(c);
        }
        if (pause_ns)
            resume(now_ns());
        if (hold && begun == n_conns) {
            hold_on();
            return;
        }
    }
}

int main(int argc, char **argv)
{
    const char *key = "none";
    size_t body = 1000;
    for (int option; (option = getopt(argc, argv, "c:d:n:b:k:p:Hur")) != -1;) {
        switch (option) {
        case 'c': n_conns = atoi(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case 'n': limit = atol(optarg); break;
        case 'b': body = strtoul(optarg, NULL, 10); break;
        case 'k': key = optarg; break;
        case 'p': pause_ns = atol(optarg) * 1000; break;
        case 'H': hold = 1; break;
        case 'u': unique = 1; break;
        case 'r': reconnect = 1; break;
        default: return 2;
        }
    }
    if (argc - optind != 2)
        return fprintf(stderr, "usage: load [options] PORT TARGET\n"), 2;
    port = atoi(argv[optind]);
    make_request(argv[optind + 1], key, body);
    epoll_fd = epoll_create1(0);
    conns = calloc((size_t)n_conns, sizeof *conns);
    for (int i = 0; i < n_conns; i++)
        open_conn(&conns[i]);
    long started = now_ns();
    for (int i = 0; i < n_conns; i++)
        ask(&conns[i]);
    run();
    printf("{\"seconds\":%.4f,\"requests\":%ld,\"errors\":%ld,\"events\":%ld,\"bytes\":%ld",
           (double)(now_ns() - started) / 1e9, answered, errors, events, bytes);
    tell("first", &first);
    tell("whole", &whole);
    tell("delay", &delays);
    printf("}\n");
    return 0;
}
