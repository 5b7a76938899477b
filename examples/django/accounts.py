# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""Creates the accounts of the example: python3 accounts.py. The passwords are wonderland, builder and none."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402

ops, _ = Group.objects.get_or_create(name="ops")
alice = User.objects.create_user("alice", password="wonderland")
bob = User.objects.create_user("bob", password="builder", is_staff=True)
bob.groups.add(ops)
User.objects.create_user("carol", password="wonderland", is_active=False)
User.objects.create_user("deploy")  # an unusable password
