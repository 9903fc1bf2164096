"""Getting in, and telling machines how the server is."""

from __future__ import annotations

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from controlplane import actions


@never_cache
@require_http_methods(["GET", "POST"])
def login_link(request: HttpRequest, token: str) -> HttpResponse:
    """Use up a one-time link, by POST alone.

    Mail scanners and link previews fetch what they see; a GET must not spend it.
    """
    if request.method == "GET":
        return render(request, "registration/login_link.html", {"token": token})
    user = actions.use_login_link(token)
    if user is None:
        return render(
            request,
            "registration/login_link.html",
            {"token": token, "used": True},
            status=410,
        )
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("/")
