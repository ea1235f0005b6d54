#include "config/address.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int address_is_loopback(const char *host, size_t length)
{
    static const char *const names[] = {"localhost", "[::1]", "::1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == length && memcmp(names[i], host, length) == 0) return 1;
    /* 127.a.b.c, digits and dots alone: a name such as 127.example.org is somebody's server. */
    return length > 4 && memcmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= length;
}

static int port_ok(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 5 && text[digits] == '\0' && atoi(text) <= 65535;
}

int address_http_check(const char *address)
{
    if (strcmp(address, "off") == 0) return ERR_OK;
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || !port_ok(colon + 1))
        return err_set(ERR_USAGE,
                       "'%.80s' is not an address; HINT: 127.0.0.1:9090, port 0 for any "
                       "free one, or off",
                       address);
    if (!address_is_loopback(address, (size_t)(colon - address)))
        return err_set(ERR_USAGE,
                       "'%.80s' is reachable from other machines, and the pages have no "
                       "access control; HINT: use 127.0.0.1:PORT and a tunnel",
                       address);
    return ERR_OK;
}

/* An address, not a name: a broker cannot bind to a name, and one file serves both sides. */
static int is_numeric(const char *host, size_t length)
{
    char text[INET6_ADDRSTRLEN + 1] = "";
    uint8_t binary[sizeof(struct in6_addr)];
    int is_six = length > 2 && host[0] == '[' && host[length - 1] == ']';
    if (is_six) {
        host++;
        length -= 2;
    }
    if (length >= sizeof text) return 0;
    memcpy(text, host, length);
    return inet_pton(is_six ? AF_INET6 : AF_INET, text, binary) == 1;
}

int address_endpoint_check(const char *endpoint)
{
    if (strncmp(endpoint, "ipc://", 6) == 0 && endpoint[6] == '/') return ERR_OK;
    if (!address_is_tcp(endpoint))
        return err_set(ERR_USAGE,
                       "'%.80s' is not an endpoint; HINT: ipc:///absolute/path or "
                       "tcp://ADDRESS:PORT",
                       endpoint);
    const char *host = endpoint + 6, *colon = strrchr(host, ':');
    if (!colon || colon == host || (!port_ok(colon + 1) && strcmp(colon + 1, "*") != 0))
        return err_set(ERR_USAGE, "'%.80s' has no port; HINT: tcp://ADDRESS:PORT", endpoint);
    if (!is_numeric(host, (size_t)(colon - host)))
        return err_set(ERR_USAGE,
                       "'%.80s' has no address of numbers, and one file serves those who bind and "
                       "those who connect; HINT: tcp://127.0.0.1:PORT, tcp://10.0.0.1:PORT, "
                       "tcp://[fd00::1]:PORT",
                       endpoint);
    return ERR_OK;
}

int address_is_tcp(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0;
}

int address_is_beyond_loopback(const char *endpoint)
{
    const char *host = endpoint + 6, *colon = strrchr(host, ':');
    return address_is_tcp(endpoint) && colon && !address_is_loopback(host, (size_t)(colon - host));
}
