<?php
// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0
//
// A front controller: the route is the part behind the script, or the path that parse_url finds.
header('Content-Type: text/plain');

function marker(string $path): string {
    if (preg_match('~^/(admin|access)(/|$)~', $path) || $path === '/u/me' || preg_match('~^/files/private(/|$)~', $path)) {
        return 'restricted';
    }
    if ($path === '/healthz' || preg_match('~^/static/~', $path) || preg_match('~^/u/[^/]+$~', $path)) {
        return 'public';
    }
    return 'protected';
}

$script = $_SERVER['PATH_INFO'] ?? '';
$url = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
foreach (array_unique([$script, rawurldecode(is_string($url) ? $url : '/')]) as $path) {
    if ($path !== '') {
        echo 'marker=', marker($path), ' ', bin2hex($path), "\n";
        break;
    }
}
