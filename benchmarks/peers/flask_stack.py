"""Flask with Flask-Security, Flask-Limiter, Flask-CORS, Flask-Talisman and CSRFProtect."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Flask, request
from flask_cors import CORS
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_security import (
    RoleMixin,
    Security,
    SQLAlchemyUserDatastore,
    UserMixin,
    auth_required,
    login_user,
    roles_required,
)
from flask_sqlalchemy import SQLAlchemy
from flask_talisman import Talisman
from flask_wtf.csrf import CSRFProtect, generate_csrf
from werkzeug.middleware.proxy_fix import ProxyFix

from benchmarks.applications import ITEM
from benchmarks.peers import DIRECTORY, EMAIL, LIMITS, PARTNER, Carried, leave
from benchmarks.premises import HOST, ORIGIN

db: Any = SQLAlchemy()
held = db.Table(
    "held",
    db.Column("user_id", db.Integer, db.ForeignKey("user.id")),
    db.Column("role_id", db.Integer, db.ForeignKey("role.id")),
)


class Role(db.Model, RoleMixin):
    """A role, as Flask-Security wants it."""

    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), unique=True)
    permissions = db.Column(db.Text)


class User(db.Model, UserMixin):
    """A user, as Flask-Security wants it."""

    id = db.Column(db.Integer, primary_key=True)
    email = db.Column(db.String(255), unique=True)
    password = db.Column(db.String(255))
    active = db.Column(db.Boolean)
    fs_uniquifier = db.Column(db.String(64), unique=True)
    roles = db.relationship("Role", secondary=held, backref="users")


def create(directory: Path) -> tuple[Flask, Carried]:
    """The application, and what a client sends that is signed in there."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=os.urandom(32).hex(),
        SECURITY_PASSWORD_SALT=os.urandom(16).hex(),
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{directory / 'flask-peers.db'}",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    db.init_app(app)
    store = SQLAlchemyUserDatastore(db, User, Role)
    Security(app, store)
    Limiter(get_remote_address, app=app, default_limits=LIMITS, storage_uri="memory://", headers_enabled=True)
    CORS(app, origins=[PARTNER], supports_credentials=True)
    Talisman(app, force_https=True)
    CSRFProtect(app)

    @app.get("/items")
    @auth_required("session")
    @roles_required("user")
    def read() -> Any:
        return ITEM

    @app.post("/items")
    @auth_required("session")
    @roles_required("user")
    def create_item() -> Any:
        return request.get_json(), 201

    @app.get("/_sign-in")
    def sign_in() -> Any:
        login_user(store.find_user(email=EMAIL))
        return {"token": generate_csrf()}

    with app.app_context():
        db.create_all()
        role = store.create_role(name="user")
        store.create_user(email=EMAIL, password=os.urandom(16).hex(), roles=[role])
        db.session.commit()
    client = app.test_client()
    token = client.get("/_sign-in", base_url=ORIGIN).get_json()["token"]
    cookie = client.get_cookie("session", domain=HOST)
    if cookie is None:
        raise RuntimeError("Flask-Security gave no session")
    return app, [("cookie", f"session={cookie.value}"), ("x-csrftoken", token)]


def served() -> Flask:
    """The same, for a server."""
    directory = Path(os.environ[DIRECTORY])
    app, carried = create(directory)
    leave(directory, carried)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    return app
