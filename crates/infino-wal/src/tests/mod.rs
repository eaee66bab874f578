mod commits;
